#include "retrieval/report/thumbnail.h"

#include <cmath>
#include <memory>

#include <openssl/evp.h>
#include <webp/encode.h>

#include "core/error.h"
#include "core/io/file.h"

namespace trireme {
namespace {

constexpr float kWebpQuality = 82;  // of 100: drawings keep clean edges at 64 pixels

std::string base64(std::span<const uint8_t> bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // EVP_EncodeBlock ends it with a NUL
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

RgbImage fit(const RgbImage& image, int64_t side) {
  const int64_t longest = std::max(image.height, image.width);
  if (longest <= side) return image;
  const auto scaled = [&](int64_t length) {
    return std::max<int64_t>(
        1, std::llround(static_cast<double>(length) * static_cast<double>(side) / static_cast<double>(longest)));
  };
  return resize_bicubic(image, scaled(image.height), scaled(image.width));
}

}  // namespace

std::string thumbnail_base64(const RgbImage& image, int64_t side) {
  const RgbImage small = fit(image, side);
  uint8_t* encoded = nullptr;
  const auto width = static_cast<int>(small.width), height = static_cast<int>(small.height);
  const std::size_t bytes = WebPEncodeRGB(small.pixels.data(), width, height, 3 * width, kWebpQuality, &encoded);
  const std::unique_ptr<uint8_t, decltype(&WebPFree)> owner(encoded, &WebPFree);
  TRIREME_ASSERT(bytes > 0, "WebP of {} x {} pixels", small.height, small.width);
  return base64({encoded, bytes});
}

std::string thumbnail_base64(const std::filesystem::path& image_file, int64_t side) {
  const MappedFile file(image_file);
  return thumbnail_base64(decode_image(file.bytes(), image_file.string()), side);
}

}  // namespace trireme
