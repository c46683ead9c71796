#pragma once

#include <cstdint>
#include <vector>

namespace trireme {

/// Where the windows of a list begin, in the order in which they are ranked: the last `window` places, then `step`
/// places higher each time, to the top, which the last window always begins with. Source: RankGPT (arXiv:2304.09542),
/// sec. 3.2. A list of up to `window` candidates has one window; an empty one none. With step < window a window
/// overlaps the next, and what is best in the list reaches the top in one pass if each window tells it.
/// window, step >= 1, step <= window.
std::vector<int64_t> window_begins(int64_t candidates, int64_t window, int64_t step);

}  // namespace trireme
