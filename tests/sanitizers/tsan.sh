#!/usr/bin/env bash
# The thread sanitizer over what has threads of its own: communicators, the reducer, read-ahead, loaders, the checkpoint
# writer. A nightly script, for its build takes long; names of tests as arguments take the place of the list.
# threads.txt names what is reported and is not ours, each line with its reason.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

tests=(core_test dist_thread_test dist_reducer_test checkpoint_test loader_test rerank_data_test)
if (($#)); then
  tests=("$@")
fi
names=$(IFS='|' && echo "${tests[*]}")
cmake --preset tsan
cmake --build --preset tsan --target "${tests[@]}"
ctest --test-dir build/tsan --output-on-failure --no-tests=error --tests-regex "^($names)\$"
