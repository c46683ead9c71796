#include "core/io/hdf5_chunk.h"

#include <zlib.h>

#include "core/error.h"

namespace trireme {
namespace {

constexpr int64_t kChunkBytes = 256 << 10;  // below the 1 MiB chunk cache that readers have unless they ask for more
constexpr int kLevel = 1;
constexpr int kWindowBits = 15, kMemoryLevel = 8;  // zlib's defaults

std::vector<std::byte> shuffle(std::span<const std::byte> raw, std::size_t element_bytes) {
  const std::size_t elements = raw.size() / element_bytes;
  std::vector<std::byte> planes(raw.size());
  for (std::size_t plane = 0; plane < element_bytes; ++plane)
    for (std::size_t i = 0; i < elements; ++i) planes[plane * elements + i] = raw[i * element_bytes + plane];
  return planes;
}

}  // namespace

int64_t hdf5_chunk_rows(int64_t row_bytes) noexcept {
  int64_t rows = 1;
  while (rows * 2 * std::max<int64_t>(row_bytes, 1) <= kChunkBytes) rows *= 2;
  return rows;
}

std::vector<std::byte> encode_hdf5_chunk(std::span<const std::byte> raw, std::size_t element_bytes, bool matches) {
  std::vector<std::byte> planes = shuffle(raw, element_bytes);
  z_stream stream{};
  const int strategy = matches ? Z_DEFAULT_STRATEGY : Z_HUFFMAN_ONLY;
  TRIREME_ASSERT(deflateInit2(&stream, kLevel, Z_DEFLATED, kWindowBits, kMemoryLevel, strategy) == Z_OK, "zlib");
  std::vector<std::byte> out(deflateBound(&stream, planes.size()));
  stream.next_in = reinterpret_cast<Bytef*>(planes.data());
  stream.avail_in = static_cast<uInt>(planes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  TRIREME_ASSERT(result == Z_STREAM_END, "deflate returned {} for {} bytes", result, raw.size());
  return out;
}

}  // namespace trireme
