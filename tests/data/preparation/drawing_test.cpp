#include "data/preparation/drawing.h"

#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using testing::HasSubstr;

/// A height x width picture, transparent but for a black box.
Drawing box_drawing(int64_t height, int64_t width, int64_t top, int64_t left, int64_t box_height, int64_t box_width) {
  std::vector<uint8_t> rgba(static_cast<std::size_t>(height * width * 4), 0);
  for (int64_t y = top; y < top + box_height; ++y) {
    for (int64_t x = left; x < left + box_width; ++x) rgba[static_cast<std::size_t>((y * width + x) * 4 + 3)] = 255;
  }
  return drawing_of_rgba(height, width, rgba);
}

uint8_t red_at(const RgbImage& image, int64_t y, int64_t x) {
  return image.pixels[static_cast<std::size_t>((y * image.width + x) * 3)];
}

TEST(FitSquare, CropsToWhatIsDrawnAndCentresIt) {
  const RgbImage square = fit_square(box_drawing(50, 80, 7, 30, 10, 20), 64, "x");
  ASSERT_EQ(square.height, 64);
  ASSERT_EQ(square.width, 64);
  // 20 x 10 becomes 64 x 32: rows 16 to 47 are black, the others white.
  for (int64_t x : {0, 31, 63}) {
    EXPECT_EQ(red_at(square, 15, x), 255);
    EXPECT_EQ(red_at(square, 16, x), 0);
    EXPECT_EQ(red_at(square, 47, x), 0);
    EXPECT_EQ(red_at(square, 48, x), 255);
  }
}

TEST(FitSquare, KeepsTheThinnestLineVisible) {
  const RgbImage square = fit_square(box_drawing(3, 500, 1, 0, 1, 500), 64, "x");
  EXPECT_EQ(red_at(square, 31, 5), 0);
}

TEST(FitSquare, RefusesAnEmptyPicture) {
  EXPECT_THAT(message_of<DataError>([] { fit_square(box_drawing(4, 4, 0, 0, 0, 0), 64, "cat.png"); }),
              HasSubstr("cat.png"));
}

TEST(Drawing, HalfTransparentBlackIsGreyOnWhite) {
  const uint8_t pixel[] = {0, 0, 0, 128};
  const Drawing drawing = drawing_of_rgba(1, 1, pixel);
  EXPECT_EQ(drawing.on_white.pixels[0], 127);
  EXPECT_EQ(drawing.alpha[0], 128);
}

TEST(PngBytes, AreReadBackAsTheyWere) {
  RgbImage image{2, 3, {}};
  for (int i = 0; i < 18; ++i) image.pixels.push_back(static_cast<uint8_t>(i * 14));
  const std::string bytes = png_bytes(image);
  const auto span = std::as_bytes(std::span(bytes));
  EXPECT_EQ(read_png_drawing(span, "x").on_white.pixels, image.pixels);
  EXPECT_EQ(decode_image(span, "x").pixels, image.pixels);
  EXPECT_EQ(png_bytes(image), bytes);
}

TEST(ReadPngDrawing, RefusesADamagedFile) {
  const std::string bytes = png_bytes({8, 8, std::vector<uint8_t>(192, 7)});
  for (const std::string& damaged : {std::string("no picture"), bytes.substr(0, bytes.size() / 2)}) {
    EXPECT_THAT(message_of<DataError>([&] { read_png_drawing(std::as_bytes(std::span(damaged)), "cat.png"); }),
                HasSubstr("cat.png"));
  }
}

}  // namespace
}  // namespace trireme::test
