// Pillow's resampling (libImaging/Resample.c) to the bit: coefficients in float64, rounded to fixed point with 22 bits;
// 32-bit sums; 8 bits between the two passes. The order of the integer sums is free, and with it the layout.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "core/error.h"
#include "data/image/image.h"

// Compiled for three instruction sets and chosen at load time; integer arithmetic gives the same bits in all of them.
#if defined(__x86_64__) && !defined(__clang__)
#define TRIREME_CPU_CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define TRIREME_CPU_CLONES
#endif

namespace trireme {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);
constexpr int64_t kChannels = 3;
constexpr int64_t kLanes = 16;  ///< bytes side by side in a vector register

using Bytes16 = uint8_t __attribute__((vector_size(16)));

/// For each output position: which inputs count, and by how much.
struct Taps {
  int64_t most = 0;             ///< weights stored per output position
  std::vector<int64_t> first;   ///< [out]
  std::vector<int64_t> count;   ///< [out]
  std::vector<int32_t> weight;  ///< [out, most]
};

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

Taps bicubic_taps(int64_t in_size, int64_t out_size) {
  constexpr double kSupport = 2.0;
  const double scale = static_cast<double>(static_cast<float>(in_size)) / static_cast<double>(out_size);
  const double filter_scale = std::max(scale, 1.0);
  const double support = kSupport * filter_scale, inverse = 1.0 / filter_scale;
  Taps taps;
  taps.most = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.first.reserve(static_cast<std::size_t>(out_size));
  taps.count.reserve(static_cast<std::size_t>(out_size));
  taps.weight.resize(static_cast<std::size_t>(out_size * taps.most));
  std::vector<double> weights(static_cast<std::size_t>(taps.most));
  for (int64_t out = 0; out < out_size; ++out) {
    const double center = (static_cast<double>(out) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t count = std::min(static_cast<int64_t>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) {
      weights[i] = bicubic((static_cast<double>(i + first) - center + 0.5) * inverse);
      sum += weights[i];
    }
    for (int64_t i = 0; i < count; ++i) {
      const double weight = (sum != 0.0 ? weights[i] / sum : weights[i]) * (1 << kPrecisionBits);
      taps.weight[out * taps.most + i] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
    taps.first.push_back(first);
    taps.count.push_back(count);
  }
  return taps;
}

uint8_t clipped(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255)); }

/// A 16 x 16 block of bytes, rows to columns: each round interleaves row i with row i + 8.
[[gnu::always_inline]] inline void transpose_block(Bytes16 (&rows)[kLanes]) {
  for (int round = 0; round < 4; ++round) {
    Bytes16 next[kLanes];
    for (int i = 0; i < 8; ++i) {
      next[2 * i] =
          __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      next[2 * i + 1] =
          __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

/// 16 rows of `count` bytes, `stride` apart, to columns[i * 16 + row]. Reads whole blocks: `count` rounded up to 16.
TRIREME_CPU_CLONES
void rows_to_columns(const uint8_t* rows, int64_t stride, int64_t count, uint8_t* columns) {
  for (int64_t i = 0; i < count; i += kLanes) {
    Bytes16 block[kLanes];
    for (int64_t row = 0; row < kLanes; ++row) std::memcpy(&block[row], rows + row * stride + i, sizeof block[row]);
    transpose_block(block);
    std::memcpy(columns + i * kLanes, block, sizeof block);
  }
}

TRIREME_CPU_CLONES
void columns_to_rows(const uint8_t* columns, int64_t count, uint8_t* rows, int64_t stride) {
  for (int64_t i = 0; i < count; i += kLanes) {
    Bytes16 block[kLanes];
    std::memcpy(block, columns + i * kLanes, sizeof block);
    transpose_block(block);
    for (int64_t row = 0; row < kLanes; ++row) std::memcpy(rows + row * stride + i, &block[row], sizeof block[row]);
  }
}

/// 16 rows at once: lane = row. in [in_width * 3, 16], out [out_width * 3, 16].
TRIREME_CPU_CLONES
void resize_columns(const uint8_t* in, const Taps& taps, uint8_t* out) {
  constexpr int64_t kPixelBytes = kChannels * kLanes;
  const auto out_width = static_cast<int64_t>(taps.first.size());
  for (int64_t x = 0; x < out_width; ++x, out += kPixelBytes) {
    const uint8_t* pixel = in + taps.first[x] * kPixelBytes;
    const int32_t* weights = taps.weight.data() + x * taps.most;
    int32_t sums[kPixelBytes];  // stays in registers
    std::fill_n(sums, kPixelBytes, kHalf);
    for (int64_t tap = 0; tap < taps.count[x]; ++tap, pixel += kPixelBytes) {
      const int32_t weight = weights[tap];
      for (int64_t i = 0; i < kPixelBytes; ++i) sums[i] += pixel[i] * weight;
    }
    for (int64_t i = 0; i < kPixelBytes; ++i) out[i] = clipped(sums[i]);
  }
}

/// One output row of `count` bytes as a weighted sum of rows `stride` apart.
TRIREME_CPU_CLONES
void sum_rows(const uint8_t* rows, int64_t stride, const int32_t* weights, int64_t taps, int64_t count, uint8_t* out) {
  constexpr int64_t kStep = 64;
  int64_t done = 0;
  for (; done + kStep <= count; done += kStep) {
    int32_t sums[kStep];  // stays in registers
    std::fill_n(sums, kStep, kHalf);
    const uint8_t* in = rows + done;
    for (int64_t tap = 0; tap < taps; ++tap, in += stride) {
      const int32_t weight = weights[tap];
      for (int64_t i = 0; i < kStep; ++i) sums[i] += in[i] * weight;
    }
    for (int64_t i = 0; i < kStep; ++i) out[done + i] = clipped(sums[i]);
  }
  for (; done < count; ++done) {
    int32_t sum = kHalf;
    for (int64_t tap = 0; tap < taps; ++tap) sum += rows[tap * stride + done] * weights[tap];
    out[done] = clipped(sum);
  }
}

/// Rows of an image within a larger one, or whole.
struct Rows {
  const uint8_t* pixels = nullptr;
  int64_t count = 0, width = 0;
};

/// Each row resized to `width`.
RgbImage resize_width(const Rows& in, int64_t width) {
  const auto up_to_lanes = [](int64_t bytes) { return (bytes + kLanes - 1) / kLanes * kLanes; };
  const Taps taps = bicubic_taps(in.width, width);
  const int64_t in_bytes = in.width * kChannels, in_padded = up_to_lanes(in_bytes);
  const int64_t out_bytes = width * kChannels, out_padded = up_to_lanes(out_bytes);
  std::vector<uint8_t> in_columns(static_cast<std::size_t>(in_padded * kLanes));
  std::vector<uint8_t> out_columns(static_cast<std::size_t>(out_padded * kLanes));
  std::vector<uint8_t> block(static_cast<std::size_t>(std::max(in_padded, out_padded) * kLanes));
  RgbImage result{in.count, width, std::vector<uint8_t>(static_cast<std::size_t>(in.count * out_bytes))};
  for (int64_t y = 0; y < in.count; y += kLanes) {
    const int64_t rows = std::min(kLanes, in.count - y);
    const uint8_t* source = in.pixels + y * in_bytes;
    // Near the end a block may have fewer than 16 rows, or be read past the last: it goes through a copy with room.
    if (in.count * in_bytes >= (y + kLanes) * in_bytes + kLanes) {
      rows_to_columns(source, in_bytes, in_bytes, in_columns.data());
    } else {
      for (int64_t row = 0; row < rows; ++row) std::copy_n(source + row * in_bytes, in_bytes, &block[row * in_padded]);
      rows_to_columns(block.data(), in_padded, in_bytes, in_columns.data());
    }
    resize_columns(in_columns.data(), taps, out_columns.data());
    columns_to_rows(out_columns.data(), out_bytes, block.data(), out_padded);
    for (int64_t row = 0; row < rows; ++row) {
      std::copy_n(&block[row * out_padded], out_bytes, &result.pixels[(y + row) * out_bytes]);
    }
  }
  return result;
}

/// Each column resized as `taps` says; in.pixels is the first row that they count from `first_row`.
RgbImage resize_height(const Rows& in, const Taps& taps, int64_t first_row) {
  const int64_t row_bytes = in.width * kChannels, height = static_cast<int64_t>(taps.first.size());
  RgbImage result{height, in.width, std::vector<uint8_t>(static_cast<std::size_t>(height * row_bytes))};
  for (int64_t y = 0; y < height; ++y) {
    sum_rows(in.pixels + (taps.first[y] - first_row) * row_bytes, row_bytes, &taps.weight[y * taps.most], taps.count[y],
             row_bytes, &result.pixels[y * row_bytes]);
  }
  return result;
}

Rows rows_of(const RgbImage& image) { return {image.pixels.data(), image.height, image.width}; }

}  // namespace

RgbImage resize_bicubic(const RgbImage& image, int64_t height, int64_t width, PassOrder order) {
  TRIREME_ASSERT(image.height > 0 && image.width > 0 && height > 0 && width > 0, "{}x{} to {}x{}", image.width,
                 image.height, width, height);
  if (image.height == height && image.width == width) return image;
  if (image.height == height) return resize_width(rows_of(image), width);
  const Taps taps = bicubic_taps(image.height, height);
  if (image.width == width) return resize_height(rows_of(image), taps, 0);

  const int64_t rows_lost = image.height - height, columns_lost = image.width - width;
  if (order == PassOrder::kPillow13 && rows_lost > 0 && rows_lost > 2 * columns_lost) {
    return resize_width(rows_of(resize_height(rows_of(image), taps, 0)), width);
  }
  // Only the rows that the second pass reads go through the first.
  const int64_t first_row = taps.first.front(), end_row = taps.first.back() + taps.count.back();
  const Rows needed{image.pixels.data() + first_row * image.width * kChannels, end_row - first_row, image.width};
  return resize_height(rows_of(resize_width(needed, width)), taps, first_row);
}

}  // namespace trireme
