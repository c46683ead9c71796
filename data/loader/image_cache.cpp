#include "data/loader/image_cache.h"

#include <iterator>
#include <utility>

namespace trireme {

std::shared_ptr<const RgbImage> ImageCache::get(const std::string& name, c10::function_ref<RgbImage()> decode) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = images_.find(name);
    if (found != images_.end()) return found->second;
  }
  auto image = std::make_shared<const RgbImage>(decode());
  const std::lock_guard lock(mutex_);
  const auto bytes = std::ssize(image->pixels);
  if (bytes > room_) return image;
  const auto [kept, is_first] = images_.emplace(name, std::move(image));
  if (is_first) room_ -= bytes;
  return kept->second;
}

}  // namespace trireme
