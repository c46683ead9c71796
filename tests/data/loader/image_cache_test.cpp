#include "data/loader/image_cache.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace trireme {
namespace {

/// A image of 10 x 10 pixels, 300 bytes, and how often it was decoded.
struct Decoder {
  uint8_t colour = 0;
  int64_t calls = 0;
  RgbImage operator()() {
    ++calls;
    return {10, 10, std::vector<uint8_t>(300, colour)};
  }
};

TEST(ImageCache, DecodesAImageOnce) {
  ImageCache cache(1000);
  Decoder red{1}, blue{2};
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cache.get("red", red)->pixels.front(), 1);
    EXPECT_EQ(cache.get("blue", blue)->pixels.front(), 2);
  }
  EXPECT_EQ(red.calls, 1);
  EXPECT_EQ(blue.calls, 1);
}

TEST(ImageCache, KeepsWhatCameFirstWhenItIsFull) {
  ImageCache cache(599);
  Decoder first{1}, second{2};
  for (int i = 0; i < 3; ++i) {
    cache.get("first", first);
    EXPECT_EQ(cache.get("second", second)->pixels.front(), 2);
  }
  EXPECT_EQ(first.calls, 1);
  EXPECT_EQ(second.calls, 3);
}

TEST(ImageCache, WithoutRoomKeepsNothing) {
  ImageCache cache(0);
  Decoder decoder{1};
  cache.get("a", decoder);
  cache.get("a", decoder);
  EXPECT_EQ(decoder.calls, 2);
}

TEST(ImageCache, AImageThatCannotBeDecodedIsTriedAgain) {
  ImageCache cache(1000);
  EXPECT_THROW(cache.get("a", []() -> RgbImage { throw DataError("a", "unreadable"); }), DataError);
  Decoder decoder{3};
  EXPECT_EQ(cache.get("a", decoder)->pixels.front(), 3);
}

}  // namespace
}  // namespace trireme
