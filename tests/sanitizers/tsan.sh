#!/usr/bin/env bash
# Our own threads under ThreadSanitizer: ranks as threads and the reducer, the loaders, checkpoints written behind, the
# log. Not a stage of .ci/run; docs/building.md has its time. Run it nightly, or after a change to threads.
# libtorch and libgomp are not instrumented: threads.txt beside this script says what is left out for that.
set -euo pipefail
cd "$(dirname -- "${BASH_SOURCE[0]}")/../.."

targets=(dist_thread_test dist_reducer_test loader_test rerank_data_test checkpoint_test core_test)
cmake --preset tsan
cmake --build --preset tsan --target "${targets[@]}"

# Compute threads are libgomp's: with one, what is left are threads of ours.
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export TSAN_OPTIONS="suppressions=$PWD/tests/sanitizers/threads.txt:halt_on_error=1:second_deadlock_stack=1"
names=$(IFS='|' && echo "${targets[*]}")
ctest --test-dir build/tsan --output-on-failure --no-tests=error --tests-regex "^($names)\$"
