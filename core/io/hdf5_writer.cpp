#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include <ATen/Parallel.h>

#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/file.h"
#include "core/io/hdf5.h"
#include "core/io/hdf5_chunk.h"
#include "core/io/hdf5_library.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "core/utf8.h"
#include "core/version.h"

namespace trireme {
namespace {

constexpr std::size_t kMaxPartialChunks = 16;  // of one dataset
constexpr std::size_t kChunksInWork = 64;      // encoded in parallel before they are written
constexpr int64_t kStringsPerChunk = 4096;     // 16-byte references; the text lies elsewhere in the file
constexpr uint32_t kAllFilters = 0, kNoFilters = 0b11;

struct WrittenDataset {
  Hdf5Handle id;
  c10::ScalarType dtype;
  std::vector<int64_t> shape;  ///< rows so far when growing
  bool growing;
  int64_t row_bytes, chunk_rows;
  std::map<int64_t, PartialChunk> partial_chunks;  ///< by chunk index, in memory
  std::map<int64_t, int64_t> rows_in_spilled;  ///< chunk index -> rows filled; the chunk lies in the file unfiltered
};

}  // namespace

struct Hdf5Writer::State {
  explicit State(const std::filesystem::path& path);
  ~State();

  [[noreturn]] void fail(std::string_view doing) const;
  Hdf5Handle created(hid_t id, Hdf5Handle::Close close, std::string_view doing) const {
    if (id < 0) fail(doing);
    return {id, close};
  }
  void require(herr_t result, std::string_view doing) const {
    if (result < 0) fail(doing);
  }

  WrittenDataset& numbers(const std::string& name);
  Hdf5Handle create_dataset(const std::string& name, const Hdf5Handle& type, const std::vector<int64_t>& shape,
                            int64_t chunk_rows) const;
  void grow(hid_t dataset, std::vector<int64_t>& shape, int64_t rows) const;
  void write_attribute(const std::string& name, const Hdf5Handle& type, const void* value) const;

  int64_t rows_in_chunk(const WrittenDataset& dataset, int64_t chunk) const;
  PartialChunk& partial_chunk(WrittenDataset& dataset, int64_t chunk) const;
  void write_encoded(const WrittenDataset& dataset, std::span<const std::pair<int64_t, const std::byte*>> chunks) const;
  void write_raw(const WrittenDataset& dataset, int64_t chunk, std::span<const std::byte> bytes,
                 uint32_t skipped_filters) const;
  void spill_oldest(WrittenDataset& dataset, int64_t except) const;
  void flush(WrittenDataset& dataset) const;

  std::filesystem::path path;
  AtomicFile atomic;
  Hdf5Handle file;
  std::map<std::string, WrittenDataset> number_datasets;
  struct Strings {
    Hdf5Handle id;
    std::vector<int64_t> shape;
    bool growing;
  };
  std::map<std::string, Strings> string_datasets;
};

Hdf5Writer::State::State(const std::filesystem::path& out) : path(out), atomic(out) {
  const auto lock = lock_hdf5();
  const Hdf5Handle access = created(H5Pcreate(H5P_FILE_ACCESS), &H5Pclose, "setting up");
  // The newer layout has checksums over its own structures.
  require(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), "setting up");
  const Hdf5Handle creation = created(H5Pcreate(H5P_FILE_CREATE), &H5Pclose, "setting up");
  require(H5Pset_obj_track_times(creation.id(), false), "setting up");
  file = created(H5Fcreate(atomic.temporary_path().c_str(), H5F_ACC_TRUNC, creation.id(), access.id()), &H5Fclose,
                 "creating the file");
}

Hdf5Writer::State::~State() {
  const auto lock = lock_hdf5();
  number_datasets.clear();
  string_datasets.clear();
  file.close();
}

void Hdf5Writer::State::fail(std::string_view doing) const {
  const Hdf5Failure failure = last_hdf5_failure();
  if (failure.error_number != 0) throw_write_failure(path, failure.error_number);
  throw DataError("hdf5", fmt::format("{} must be written whole; got a failure of HDF5 while {}: {}; check the disk.",
                                      quote_path(path), doing, quote_text(failure.description)));
}

WrittenDataset& Hdf5Writer::State::numbers(const std::string& name) {
  const auto found = number_datasets.find(name);
  TRIREME_ASSERT(found != number_datasets.end(), "no dataset {} of numbers was created", name);
  return found->second;
}

namespace {

std::vector<hsize_t> sizes_of(const std::vector<int64_t>& shape) { return {shape.begin(), shape.end()}; }

int64_t product(std::span<const int64_t> sizes) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  return count;
}

int64_t values_per_row(const std::vector<int64_t>& shape) { return product(std::span(shape).subspan(1)); }

}  // namespace

Hdf5Handle Hdf5Writer::State::create_dataset(const std::string& name, const Hdf5Handle& type,
                                             const std::vector<int64_t>& shape, int64_t chunk_rows) const {
  std::vector<hsize_t> sizes = sizes_of(shape), max_sizes = sizes, chunk = sizes;
  sizes[0] = static_cast<hsize_t>(std::max<int64_t>(shape[0], 0));
  // A dataset of no rows counts as growing: the library wants chunks no larger than a fixed dataset.
  max_sizes[0] = shape[0] <= 0 ? H5S_UNLIMITED : sizes[0];
  chunk[0] = static_cast<hsize_t>(chunk_rows);
  const int rank = static_cast<int>(shape.size());
  const Hdf5Handle space =
      created(H5Screate_simple(rank, sizes.data(), max_sizes.data()), &H5Sclose, "creating a dataset");
  const Hdf5Handle layout = created(H5Pcreate(H5P_DATASET_CREATE), &H5Pclose, "creating a dataset");
  require(H5Pset_obj_track_times(layout.id(), false), "creating a dataset");
  require(H5Pset_chunk(layout.id(), rank, chunk.data()), "creating a dataset");
  require(H5Pset_shuffle(layout.id()), "creating a dataset");
  require(H5Pset_deflate(layout.id(), 1), "creating a dataset");
  return created(H5Dcreate2(file.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, layout.id(), H5P_DEFAULT),
                 &H5Dclose, "creating a dataset");
}

void Hdf5Writer::State::grow(hid_t dataset, std::vector<int64_t>& shape, int64_t rows) const {
  if (rows <= shape[0]) return;
  shape[0] = rows;
  require(H5Dset_extent(dataset, sizes_of(shape).data()), "growing a dataset");
}

int64_t Hdf5Writer::State::rows_in_chunk(const WrittenDataset& dataset, int64_t chunk) const {
  const int64_t rows_after_begin = dataset.shape[0] - chunk * dataset.chunk_rows;
  return dataset.growing ? dataset.chunk_rows : std::min(dataset.chunk_rows, rows_after_begin);
}

void Hdf5Writer::State::write_raw(const WrittenDataset& dataset, int64_t chunk, std::span<const std::byte> bytes,
                                  uint32_t skipped_filters) const {
  std::vector<hsize_t> offset(dataset.shape.size(), 0);
  offset[0] = static_cast<hsize_t>(chunk * dataset.chunk_rows);
  require(H5Dwrite_chunk(dataset.id.id(), H5P_DEFAULT, skipped_filters, offset.data(), bytes.size(), bytes.data()),
          "writing a chunk");
}

/// Encodes whole chunks on all cores, then writes them in order: the library itself would encode one at a time.
void Hdf5Writer::State::write_encoded(const WrittenDataset& dataset,
                                      std::span<const std::pair<int64_t, const std::byte*>> chunks) const {
  const std::size_t chunk_bytes = static_cast<std::size_t>(dataset.chunk_rows * dataset.row_bytes);
  const bool matches = c10::isIntegralType(dataset.dtype, /*includeBool=*/false);
  for (; !chunks.empty(); chunks = chunks.subspan(std::min(chunks.size(), kChunksInWork))) {
    std::vector<std::vector<std::byte>> encoded(std::min(chunks.size(), kChunksInWork));
    at::parallel_for(0, static_cast<int64_t>(encoded.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        encoded[i] = encode_hdf5_chunk({chunks[i].second, chunk_bytes}, c10::elementSize(dataset.dtype), matches);
    });
    const auto lock = lock_hdf5();
    for (std::size_t i = 0; i < encoded.size(); ++i) write_raw(dataset, chunks[i].first, encoded[i], kAllFilters);
  }
}

PartialChunk& Hdf5Writer::State::partial_chunk(WrittenDataset& dataset, int64_t chunk) const {
  const auto [found, is_new] = dataset.partial_chunks.try_emplace(chunk);
  PartialChunk& partial = found->second;
  if (!is_new) return partial;
  partial.bytes.resize(static_cast<std::size_t>(dataset.chunk_rows * dataset.row_bytes));
  if (const auto spilled = dataset.rows_in_spilled.find(chunk); spilled != dataset.rows_in_spilled.end()) {
    const auto lock = lock_hdf5();
    std::vector<hsize_t> offset(dataset.shape.size(), 0);
    offset[0] = static_cast<hsize_t>(chunk * dataset.chunk_rows);
    uint32_t skipped_filters = 0;
    require(H5Dread_chunk(dataset.id.id(), H5P_DEFAULT, offset.data(), &skipped_filters, partial.bytes.data()),
            "reading a chunk back");
    partial.rows_filled = spilled->second;
    dataset.rows_in_spilled.erase(spilled);
  }
  spill_oldest(dataset, chunk);
  return partial;
}

void Hdf5Writer::State::spill_oldest(WrittenDataset& dataset, int64_t except) const {
  if (dataset.partial_chunks.size() <= kMaxPartialChunks) return;
  auto oldest = dataset.partial_chunks.begin();
  if (oldest->first == except) ++oldest;
  const auto lock = lock_hdf5();
  write_raw(dataset, oldest->first, oldest->second.bytes, kNoFilters);
  dataset.rows_in_spilled.emplace(oldest->first, oldest->second.rows_filled);
  dataset.partial_chunks.erase(oldest);
}

void Hdf5Writer::State::flush(WrittenDataset& dataset) const {
  std::vector<std::pair<int64_t, const std::byte*>> chunks;
  for (const auto& [chunk, partial] : dataset.partial_chunks) chunks.emplace_back(chunk, partial.bytes.data());
  write_encoded(dataset, chunks);
  dataset.partial_chunks.clear();
}

void Hdf5Writer::State::write_attribute(const std::string& name, const Hdf5Handle& type, const void* value) const {
  const Hdf5Handle space = created(H5Screate(H5S_SCALAR), &H5Sclose, "writing an attribute");
  const Hdf5Handle attribute =
      created(H5Acreate2(file.id(), name.c_str(), type.id(), space.id(), H5P_DEFAULT, H5P_DEFAULT), &H5Aclose,
              "writing an attribute");
  require(H5Awrite(attribute.id(), type.id(), value), "writing an attribute");
}

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
Hdf5Writer::Hdf5Writer(Hdf5Writer&&) noexcept = default;
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::create(const std::string& name, c10::ScalarType dtype, const std::vector<int64_t>& shape) {
  const auto lock = lock_hdf5();
  const int64_t row_bytes = values_per_row(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  const bool growing = shape[0] == kGrowingRows;
  const int64_t chunk_rows = shape[0] > 0 ? std::min(hdf5_chunk_rows(row_bytes), shape[0]) : hdf5_chunk_rows(row_bytes);
  WrittenDataset dataset{state_->create_dataset(name, hdf5_number_type(dtype), shape, chunk_rows),
                         dtype,
                         shape,
                         growing,
                         row_bytes,
                         chunk_rows,
                         {},
                         {}};
  dataset.shape[0] = std::max<int64_t>(shape[0], 0);
  state_->number_datasets.emplace(name, std::move(dataset));
}

void Hdf5Writer::create_strings(const std::string& name, const std::vector<int64_t>& shape) {
  const auto lock = lock_hdf5();
  const int64_t wanted_rows = std::max<int64_t>(1, kStringsPerChunk / std::max<int64_t>(1, values_per_row(shape)));
  const int64_t chunk_rows = shape[0] > 0 ? std::min(wanted_rows, shape[0]) : wanted_rows;
  State::Strings strings{state_->create_dataset(name, hdf5_string_type(), shape, chunk_rows), shape,
                         shape[0] == kGrowingRows};
  strings.shape[0] = std::max<int64_t>(shape[0], 0);
  state_->string_datasets.emplace(name, std::move(strings));
}

void Hdf5Writer::write(const std::string& name, int64_t first_row, const torch::Tensor& rows) {
  WrittenDataset& dataset = state_->numbers(name);
  const auto fits = [&] {
    std::vector<int64_t> expected = dataset.shape;
    expected[0] = rows.size(0);
    return rows.sizes() == expected && (dataset.growing || first_row + rows.size(0) <= dataset.shape[0]);
  };
  TRIREME_ASSERT(rows.dim() > 0 && rows.is_cpu() && rows.scalar_type() == dataset.dtype && first_row >= 0 && fits(),
                 "{} from row {} on does not fit dataset {} {}", shape_string(rows), first_row, name,
                 shape_string(dataset.shape));
  const torch::Tensor values = rows.contiguous();
  const auto* source = static_cast<const std::byte*>(values.const_data_ptr());
  const int64_t end_row = first_row + rows.size(0);
  if (dataset.growing) {
    const auto lock = lock_hdf5();
    state_->grow(dataset.id.id(), dataset.shape, end_row);
  }

  std::vector<std::pair<int64_t, const std::byte*>> whole_chunks;
  for (int64_t row = first_row; row < end_row;) {
    const int64_t chunk = row / dataset.chunk_rows, row_in_chunk = row % dataset.chunk_rows;
    const int64_t count = std::min(end_row - row, dataset.chunk_rows - row_in_chunk);
    if (count == dataset.chunk_rows) {
      whole_chunks.emplace_back(chunk, source);
    } else {
      PartialChunk& partial = state_->partial_chunk(dataset, chunk);
      std::memcpy(partial.bytes.data() + row_in_chunk * dataset.row_bytes, source,
                  static_cast<std::size_t>(count * dataset.row_bytes));
      partial.rows_filled += count;
      if (partial.rows_filled == state_->rows_in_chunk(dataset, chunk)) {
        state_->write_encoded(dataset, std::array{std::pair{chunk, std::as_const(partial.bytes).data()}});
        dataset.partial_chunks.erase(chunk);
      }
    }
    row += count;
    source += count * dataset.row_bytes;
  }
  state_->write_encoded(dataset, whole_chunks);
}

void Hdf5Writer::write_strings(const std::string& name, int64_t first_row, std::span<const std::string> values) {
  const auto found = state_->string_datasets.find(name);
  TRIREME_ASSERT(found != state_->string_datasets.end(), "no dataset {} of strings was created", name);
  State::Strings& strings = found->second;
  const int64_t width = values_per_row(strings.shape);
  const int64_t rows = static_cast<int64_t>(values.size()) / std::max<int64_t>(width, 1);
  TRIREME_ASSERT(
      rows * width == std::ssize(values) && first_row >= 0 && (strings.growing || first_row + rows <= strings.shape[0]),
      "{} strings from row {} on do not fit dataset {} {}", values.size(), first_row, name,
      shape_string(strings.shape));
  std::vector<const char*> pointers;
  pointers.reserve(values.size());
  for (const std::string& value : values) {
    TRIREME_CHECK(is_valid_utf8(value) && value.find('\0') == value.npos, DataError, "hdf5",
                  "{}: strings of /{} must be UTF-8 without NUL; got {} at row {}; correct it.",
                  quote_path(state_->path), name, quote_text(value),
                  first_row + std::ssize(pointers) / std::max<int64_t>(width, 1));
    pointers.push_back(value.c_str());
  }
  if (values.empty()) return;
  const auto lock = lock_hdf5();
  if (strings.growing) state_->grow(strings.id.id(), strings.shape, first_row + rows);
  std::vector<hsize_t> offset(strings.shape.size(), 0), count = sizes_of(strings.shape);
  offset[0] = static_cast<hsize_t>(first_row);
  count[0] = static_cast<hsize_t>(rows);
  const Hdf5Handle memory = state_->created(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr),
                                            &H5Sclose, "writing strings");
  const Hdf5Handle space = state_->created(H5Dget_space(strings.id.id()), &H5Sclose, "writing strings");
  state_->require(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, offset.data(), nullptr, count.data(), nullptr),
                  "writing strings");
  const Hdf5Handle type = hdf5_string_type();
  state_->require(H5Dwrite(strings.id.id(), type.id(), memory.id(), space.id(), H5P_DEFAULT, pointers.data()),
                  "writing strings");
}

void Hdf5Writer::set_attribute(const std::string& name, std::string_view value) {
  const auto lock = lock_hdf5();
  const std::string text(value);
  TRIREME_CHECK(is_valid_utf8(text) && text.find('\0') == text.npos, DataError, "hdf5",
                "{}: attribute {} must be UTF-8 without NUL; got {}; correct it.", quote_path(state_->path), name,
                quote_text(text));
  const char* const pointer = text.c_str();
  state_->write_attribute(name, hdf5_string_type(), &pointer);
}

void Hdf5Writer::set_attribute(const std::string& name, int64_t value) {
  const auto lock = lock_hdf5();
  state_->write_attribute(name, hdf5_number_type(torch::kInt64), &value);
}

void Hdf5Writer::set_attribute(const std::string& name, double value) {
  const auto lock = lock_hdf5();
  state_->write_attribute(name, Hdf5Handle(H5Tcopy(H5T_IEEE_F64LE), &H5Tclose), &value);
}

void Hdf5Writer::set_format(const Hdf5Format& format) {
  set_attribute("trireme_format", format.name);
  set_attribute("format_version", format.version);
  set_attribute("created_by", created_by());
  set_attribute("config_sha256", format.config_sha256);
}

void Hdf5Writer::commit() {
  for (auto& [name, dataset] : state_->number_datasets) state_->flush(dataset);
  {
    const auto lock = lock_hdf5();
    // Closing writes what the library still holds, so each close is checked, and where it fails is seen.
    for (auto& [name, dataset] : state_->number_datasets)
      if (!dataset.id.close()) state_->fail("closing a dataset");
    for (auto& [name, strings] : state_->string_datasets)
      if (!strings.id.close()) state_->fail("closing a dataset");
    state_->require(H5Fflush(state_->file.id(), H5F_SCOPE_LOCAL), "flushing the file");
    if (!state_->file.close()) state_->fail("closing the file");
  }
  state_->atomic.commit();
}

}  // namespace trireme
