#!/usr/bin/env bash
# Makes this checkout ready to use on Debian 12 or Ubuntu 24.04: system packages, a private Python environment with the
# wheel that carries libtorch, configure, build. Safe to run again: every step does only what is missing. Needs root or
# sudo only when a system package is missing. No Python is needed to run what it builds.
set -euo pipefail

usage() {
  cat <<'TEXT'
bash launch/setup.sh [--cuda] [--preset NAME] [--tests] [--data] [--prefix DIR]

  --cuda          install the whole wheel set (4.6 GB instead of 1.3 GB) and build the preset `cuda`: needs nvcc 13,
                  but no GPU
  --preset NAME   build this CMake preset instead of `release` (docs/building.md lists them)
  --tests         build the tests too
  --prefix DIR    install the program and its CMake package into DIR (bin, lib, include) after the build
  --data          install the packages that `trireme prepare pictograms` reads too (210 MB of downloads)
TEXT
}

here=$PWD
cd "$(dirname -- "${BASH_SOURCE[0]}")/.."
root=$PWD
logs=$root/build/logs

# One line, last on stderr: what was required, what came, what to do.
fail() {
  printf 'error: [setup] %s\n' "$1" >&2
  exit "${2:-1}"
}

cuda=false
data=false
preset=
prefix=
target=trireme
while (($#)); do
  case $1 in
    --cuda) cuda=true ;;
    --preset)
      (($# >= 2)) || fail "--preset must name a preset; got nothing after it; try --preset release." 2
      preset=$2
      shift
      ;;
    --preset=*) preset=${1#--preset=} ;;
    --prefix)
      (($# >= 2)) || fail "--prefix must name a folder; got nothing after it; try --prefix ~/.local." 2
      prefix=$(cd "$here" && realpath -m -- "$2")
      shift
      ;;
    --prefix=*) prefix=$(cd "$here" && realpath -m -- "${1#--prefix=}") ;;
    --tests) target=all ;;
    --data) data=true ;;
    -h | --help) usage && exit 0 ;;
    *) fail "options must be --cuda, --preset NAME, --tests, --prefix DIR or --data; got '$1'; see --help." 2 ;;
  esac
  shift
done
if [[ -z $preset ]]; then
  preset=$($cuda && echo cuda || echo release)
fi
grep -qF "\"configurePreset\": \"$preset\"" CMakePresets.json ||
  fail "--preset must name one of CMakePresets.json; got '$preset'; cmake --list-presets lists them." 2

# The exact releases that the code was built and measured with.
torch=torch==2.11.0
cpu_wheels=("$torch" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)  # all that libtorch_cpu.so loads
packages=(
  g++ cmake ninja-build mold pkg-config python3-venv
  libopenmpi-dev openmpi-bin libhdf5-dev libssl-dev libxxhash-dev
  libyaml-cpp-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libsimdjson-dev
  libpcre2-dev libutf8proc-dev libjpeg-dev libpng-dev libwebp-dev libhnswlib-dev
  libfreetype-dev libharfbuzz-dev libpugixml-dev
  libgtest-dev libgmock-dev librapidcheck-dev clang-format-14 procps
)
data_packages=(
  fonts-noto-color-emoji ruby-gemojione fonts-symbola unicode-data unicode-cldr-core tuxpaint-stamps-default
  wordnet-base librsvg2-bin
)
if $data; then
  packages+=("${data_packages[@]}")
fi

# step NAME ADVICE COMMAND...: runs the command with its output in build/logs/NAME.log and prints how long it took. When
# it fails, the end of the log and one line that says what to do.
step() {
  local name=$1 advice=$2 begin=$SECONDS
  shift 2
  printf '==> %s\n' "$name"
  if ! "$@" >"$logs/$name.log" 2>&1 </dev/null; then
    tail -n 30 "$logs/$name.log" >&2
    fail "step '$name' must succeed; it failed (all of its output: $logs/$name.log); $advice"
  fi
  printf '    done in %d s\n' "$((SECONDS - begin))"
}

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
  done
}

install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
  ((EUID == 0)) || apt=(sudo "${apt[@]}")
  # Fresh machines have no package lists and old ones stale lists: both show as a failure, and only then is it updated.
  "${apt[@]}" install -y --no-install-recommends "$@" && return
  "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"
}

# The first interpreter that can make an environment and that the wheel is built for; shims of version managers and
# distributions without ensurepip fall out here.
find_python() {
  local candidate check='import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))'
  for candidate in python3 /usr/bin/python3 python3.{14,13,12,11,10}; do
    if "$candidate" -c "$check" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  fail "Python 3.10 to 3.14 with venv must be there; got none that works; run apt-get install python3-venv."
}

make_environment() {
  .venv/bin/python -c '' 2>/dev/null || "$python" -m venv --clear .venv
}

install_wheels() {
  local pip=(.venv/bin/python -m pip --disable-pip-version-check install --no-compile)
  if $cuda; then
    "${pip[@]}" "$torch"
  else
    "${pip[@]}" --no-deps "${cpu_wheels[@]}"
  fi
}

# A build folder remembers the environment's folder; when that has moved (another Python, another place), start afresh.
configure() {
  local wheel cache=build/$preset/CMakeCache.txt fresh=()
  wheel=$(echo "$root"/.venv/lib/python3*/site-packages/torch)
  if [[ -f $cache ]] && ! grep -qxF "TORCH_WHEEL_DIR:PATH=$wheel" "$cache"; then
    fresh=(--fresh)
  fi
  cmake "${fresh[@]}" --preset "$preset"
}

# A translation unit takes up to 1 GB: no more jobs than cores, nor than memory holds.
build_jobs() {
  local cores by_memory
  cores=$(nproc)
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 1.2e6) }' /proc/meminfo)
  ((by_memory >= 1)) || by_memory=1
  echo $((cores < by_memory ? cores : by_memory))
}

build() { cmake --build --preset "$preset" --parallel "$(build_jobs)" --target "$target"; }

mkdir -p "$logs" 2>/dev/null || fail "$root must be writable; got no permission; use a checkout of your own."

if command -v dpkg-query >/dev/null; then
  mapfile -t missing < <(missing_packages)
else
  fail "the system must be Debian or Ubuntu; got no dpkg; install the packages by hand (docs/building.md) and build."
fi
if ((${#missing[@]})); then
  if ((EUID != 0)) && ! command -v sudo >/dev/null; then
    fail "packages must be installed: ${missing[*]}; got neither root nor sudo; have an administrator install them."
  fi
  if ((EUID != 0)); then
    sudo -v || fail "packages must be installed: ${missing[*]}; sudo refused; have an administrator install them."
  fi
  step packages "check the network and the lists in /etc/apt, or install by hand: ${missing[*]}." \
    install_packages "${missing[@]}"
fi

if $cuda || [[ $preset == cuda ]]; then
  for folder in "${CUDA_HOME:-/usr/local/cuda}/bin" /usr/local/cuda/bin; do
    command -v nvcc >/dev/null || PATH=$PATH:$folder
  done
  command -v nvcc >/dev/null || fail "the preset cuda needs nvcc 13; got none; install the toolkit or set CUDA_HOME."
elif [[ -e /proc/driver/nvidia/version ]]; then
  echo "An NVIDIA driver is here. This set-up builds for the CPU; add --cuda to build for the GPU."
fi

python=$(find_python)
step environment "remove .venv and run this again." make_environment
step wheels "check the network and the free space (1.3 GB, with --cuda 4.6 GB); run this again." install_wheels
step configure "read the message above; docs/building.md has the usual causes." configure
step "build-$preset" "read the first error in the log; if memory ran out: ninja -C build/$preset -j1." build
"build/$preset/bin/trireme" --help >/dev/null ||
  fail "the program must start; it did not; run build/$preset/bin/trireme --help."
if [[ -n $prefix ]]; then
  step install "choose a folder that can be written to." cmake --install "build/$preset" --prefix "$prefix"
  echo "Installed: $prefix/bin/trireme"
fi
echo "Ready after ${SECONDS} s: $root/build/$preset/bin/trireme"
