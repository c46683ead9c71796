#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include <c10/util/FunctionRef.h>

#include "data/image/image.h"

namespace trireme {

/// Decoded images by name, as many as fit into `bytes` of pixels. The first to come stay: where images are drawn in
/// passes over all of them, one that makes room for the next is gone when its turn comes again. Safe to use from
/// several threads.
class ImageCache {
 public:
  explicit ImageCache(int64_t bytes) : room_(bytes) {}

  /// The image of that name, from `decode` where it is not kept. Threads that ask for one at the same time may both
  /// decode it.
  std::shared_ptr<const RgbImage> get(const std::string& name, c10::function_ref<RgbImage()> decode);

 private:
  std::mutex mutex_;
  int64_t room_;
  std::unordered_map<std::string, std::shared_ptr<const RgbImage>> images_;
};

}  // namespace trireme
