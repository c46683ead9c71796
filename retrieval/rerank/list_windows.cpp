#include "retrieval/rerank/list_windows.h"

#include <algorithm>

#include "core/error.h"

namespace trireme {

std::vector<int64_t> window_begins(int64_t candidates, int64_t window, int64_t step) {
  TRIREME_ASSERT(window >= 1 && step >= 1 && step <= window, "window {}, step {}", window, step);
  std::vector<int64_t> begins;
  if (candidates == 0) return begins;
  for (int64_t begin = candidates - window; begin > 0; begin -= step) begins.push_back(begin);
  begins.push_back(0);
  return begins;
}

}  // namespace trireme
