# What the quickstarts share; sourced by them, from the repository's root, with their options:
#   [--ranks N] [--seed N]    sets ranks, seed, trireme, experiments; run VERB .. runs on so many ranks
name=$(basename -- "$0" .sh)

fail() {
  printf 'error: [%s] %s\n' "$name" "$1" >&2
  exit 2
}

ranks=1
seed=1
while (($#)); do
  case $1 in
    --ranks | --seed)
      [[ ${2:-} =~ ^[0-9]+$ ]] || fail "$1 must be followed by a number; got '${2:-}'; try $1 2."
      [[ $1 == --ranks ]] && ranks=$2 || seed=$2
      shift 2
      ;;
    *) fail "options must be --ranks N or --seed N; got '$1'; leave it out." ;;
  esac
done

trireme=$PWD/build/release/bin/trireme
experiments=experiments/pictograms
run() {
  if ((ranks > 1)); then mpirun --oversubscribe -n "$ranks" "$trireme" "$@"; else "$trireme" "$@"; fi
}
