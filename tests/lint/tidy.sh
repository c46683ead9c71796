#!/usr/bin/env bash
# clang-tidy over the .cpp files of our own that differ from a commit (origin/main unless one is named), or over those
# that are given: tests/lint/tidy.sh [COMMIT | FILE.cpp ..]. A file takes about 15 s, since libtorch's headers are read.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if [[ ${1:-} == *.cpp ]]; then
  files=("$@")
else
  mapfile -t files < <(git diff --name-only --diff-filter=d "${1:-origin/main}" -- \
    {core,data,models,losses,answering,retrieval,evaluation,trainers,launch}'/*.cpp')
fi
if ((${#files[@]} == 0)); then
  echo "tidy: no .cpp file differs"
  exit
fi
cmake --preset tidy >/dev/null
printf "%s\0" "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" \
  clang-tidy-14 --quiet -p build/tidy --extra-arg=-Wno-unknown-warning-option
