#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "core/error.h"
#include "data/image/image.h"
#include "data/image/orientation.h"
#include "data/image/preprocess.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// The goldens of one format.
fuzz::Corpus golden_images(std::string_view extension) {
  fuzz::Corpus corpus;
  for (const fs::directory_entry& entry : fs::directory_iterator(TRIREME_TEST_DIR "/golden/image/files")) {
    if (entry.path().extension() != extension) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    corpus.seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(corpus.seeds.begin(), corpus.seeds.end());  // a folder has no order of its own
  return corpus;
}

void decode_and_cut(const std::string& bytes) {
  ImageProcessorConfig config;
  config.max_pixels = 12 * 28 * 28;
  for (const AlphaMode alpha : {AlphaMode::kWhite, AlphaMode::kDrop}) {
    preprocess_image(decode_image(std::as_bytes(std::span(bytes)), "fuzz", alpha), config, "fuzz");
  }
}

TEST(ImageFuzz, JpegDecodingSurvives) {
  fuzz::Corpus corpus = golden_images(".jpg");
  corpus.dictionary = {"\xff\xd8", "\xff\xd9", "\xff\xda", "\xff\xc2", "\xff\xc4",
                       "\xff\xdd", "\xff\xd0", "Exif",     "Adobe",    std::string("\xff\xe1\0\x10", 4)};
  fuzz::survives_mutation("image_fuzz_jpeg", corpus, decode_and_cut);
}

/// CRC-32 of ISO 3309, bit by bit.
uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

/// The same chunks with the checksums they should have: damage then reaches the code behind the checksum.
std::string with_right_checksums(std::string png) {
  constexpr std::size_t kSignature = 8, kFrame = 12;
  for (std::size_t at = kSignature; at + kFrame <= png.size();) {
    uint64_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(png[at + i]);
    if (length > png.size() - at - kFrame) break;
    const uint32_t crc = crc32(std::string_view(png).substr(at + 4, length + 4));
    for (int i = 0; i < 4; ++i) png[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i));
    at += kFrame + length;
  }
  return png;
}

TEST(ImageFuzz, PngDecodingSurvives) {
  fuzz::Corpus corpus = golden_images(".png");
  corpus.dictionary = {
      "IHDR", "PLTE", "tRNS", "IDAT", "IEND", "eXIf", "iTXt", "zTXt", std::string("\0\0\0\0IDAT\x35\xaf\x06\x1e", 12)};
  fuzz::survives_mutation("image_fuzz_png", corpus,
                          [](const std::string& bytes) { decode_and_cut(with_right_checksums(bytes)); });
}

TEST(ImageFuzz, WebpDecodingSurvives) {
  fuzz::Corpus corpus = golden_images(".webp");
  corpus.dictionary = {"RIFF", "WEBP", "VP8X", "VP8L", "VP8 ", "ALPH", "ANMF", "ANIM", "EXIF", "XMP "};
  fuzz::survives_mutation("image_fuzz_webp", corpus, decode_and_cut);
}

/// Orientation never refuses: its range is asserted, and every value but one is refused by the test itself.
TEST(ImageFuzz, OrientationSurvives) {
  const std::string exif(
      "Exif\0\0II*\0\x08\0\0\0\x02\0\x0f\x01\x02\0\x04\0\0\0abc\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0", 44);
  fuzz::Corpus corpus{{exif}, {"MM", std::string("\x12\x01", 2), "tiff:Orientation=\"8"}};
  fuzz::survives_mutation("image_fuzz_orientation", corpus, [](const std::string& bytes) {
    const int orientation = find_orientation(std::as_bytes(std::span(bytes)), bytes);
    TRIREME_ASSERT(orientation >= 1 && orientation <= 8, "got {}", orientation);
    TRIREME_CHECK(orientation == 6, DataError, "fuzz", "6 must come; got {}; none.", orientation);
  });
}

TEST(ImageFuzz, ProcessorConfigSurvives) {
  const test::TempFolder folder;
  fuzz::Corpus corpus{
      {R"({"min_pixels":3136,"max_pixels":12845056,"patch_size":14,"merge_size":2,"image_mean":[0.5,0.5,0.5],)"
       R"("image_std":[1,1,1],"image_processor_type":"Qwen2VLImageProcessor",)"
       R"("size":{"shortest_edge":1,"longest_edge":9}})",
       R"({"do_resize":true,"resample":3,"rescale_factor":0.00392156862745098,"temporal_patch_size":2,"size":null})"},
      {"null", "1e999", "\"size\"", "[", "{", "\"image_std\""}};
  fuzz::survives_mutation("image_fuzz_config", corpus, [&](const std::string& text) {
    folder.write("preprocessor_config.json", text);
    read_image_processor_config(folder.path());
  });
}

}  // namespace
}  // namespace trireme
