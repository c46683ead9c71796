#include "data/loader/picture_cache.h"

#include <iterator>
#include <utility>

namespace trireme {

std::shared_ptr<const RgbImage> PictureCache::get(const std::string& name, c10::function_ref<RgbImage()> decode) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = pictures_.find(name);
    if (found != pictures_.end()) return found->second;
  }
  auto picture = std::make_shared<const RgbImage>(decode());
  const std::lock_guard lock(mutex_);
  const auto bytes = std::ssize(picture->pixels);
  if (bytes > room_) return picture;
  const auto [kept, is_first] = pictures_.emplace(name, std::move(picture));
  if (is_first) room_ -= bytes;
  return kept->second;
}

}  // namespace trireme
