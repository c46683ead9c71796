#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace trireme {

/// How many rows of `row_bytes` one chunk takes: a power of two with at most 256 KiB, at least 1.
int64_t hdf5_chunk_rows(int64_t row_bytes) noexcept;

/// What HDF5's filters "shuffle" and "deflate" make of a chunk: byte k of every element together, then zlib. With
/// `matches` false zlib looks for no repetitions and only gives frequent bytes short codes: mantissas are noise, and
/// exponents have few values.
std::vector<std::byte> encode_hdf5_chunk(std::span<const std::byte> raw, std::size_t element_bytes, bool matches);

/// A chunk of which not every row has come.
struct PartialChunk {
  std::vector<std::byte> bytes;  ///< rows that have not come are zeros
  int64_t rows_filled = 0;
};

}  // namespace trireme
