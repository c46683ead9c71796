#include <array>
#include <cstring>
#include <map>
#include <utility>

#include <ATen/ops/empty.h>

#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/hdf5.h"
#include "core/io/hdf5_library.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::size_t kChunkCacheBytes = 8 << 20;  // 32 of our chunks: neighbours of a short read are not decoded twice
constexpr std::string_view kMakeAgain = "it is damaged: make it again";
constexpr std::string_view kLocked =
    "another program is writing it, or its disk has no locks (then set HDF5_USE_FILE_LOCKING=FALSE)";

struct Dataset {
  Hdf5Handle id, type;
  std::vector<int64_t> shape;
  std::optional<c10::ScalarType> dtype;  ///< nullopt: strings
};

/// nullopt when the file's type is none that we read.
std::optional<c10::ScalarType> number_dtype(hid_t type) {
  const std::size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      // bfloat16 and the like have two bytes too, so a half must have the fields of one.
      if (size == 4) return torch::kFloat32;
      if (size == 2 && H5Tget_ebias(type) == 15) return torch::kFloat16;
      return std::nullopt;
    case H5T_INTEGER:
      if (size == 8 && H5Tget_sign(type) == H5T_SGN_2) return torch::kInt64;
      if (size == 4 && H5Tget_sign(type) == H5T_SGN_2) return torch::kInt32;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool is_variable_string(hid_t type) { return H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) > 0; }

/// The strings that the library allocated for a read, given back to it at the end.
class ReadStrings {
 public:
  ReadStrings(std::size_t count, hid_t type, hid_t space) : pointers_(count, nullptr), type_(type), space_(space) {}
  ReadStrings(const ReadStrings&) = delete;
  ReadStrings& operator=(const ReadStrings&) = delete;
  ~ReadStrings() { H5Dvlen_reclaim(type_, space_, H5P_DEFAULT, pointers_.data()); }
  char** data() { return pointers_.data(); }
  std::string_view operator[](std::size_t i) const { return pointers_[i] == nullptr ? "" : pointers_[i]; }

 private:
  std::vector<char*> pointers_;
  hid_t type_, space_;
};

}  // namespace

struct Hdf5Reader::State {
  explicit State(const std::filesystem::path& path);
  ~State();

  [[noreturn]] void fail(const std::string& what) const {
    const std::string reason = last_hdf5_failure().description;
    throw DataError(
        "hdf5", fmt::format("{} must hold {} that can be read; got a failure of HDF5: {}; {}.", quote_path(path), what,
                            quote_text(reason), reason.starts_with("unable to lock") ? kLocked : kMakeAgain));
  }
  Hdf5Handle opened(hid_t id, Hdf5Handle::Close close, const std::string& what) const {
    if (id < 0) fail(what);
    return {id, close};
  }
  Hdf5Handle open_attribute(const std::string& name) const;
  struct NumberKind {
    H5T_class_t type_class;
    const char *in_words, *to_write;
  };
  /// Under the lock that it takes. value: of the type `memory`.
  void read_number(const std::string& name, const NumberKind& kind, hid_t memory, void* value) const;
  const Dataset& dataset(const std::string& name);
  struct Selection {
    Hdf5Handle file, memory;
    std::vector<int64_t> shape;
  };
  Selection select(const std::string& name, const Dataset& dataset, int64_t first_row, int64_t count) const;

  std::filesystem::path path;
  Hdf5Handle file;
  std::map<std::string, Dataset> datasets;
};

Hdf5Reader::State::State(const std::filesystem::path& source) : path(source) {
  const Descriptor descriptor = open_for_reading(path);
  static constexpr std::array<unsigned char, 8> kSignature{0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  std::array<std::byte, 8> start{};
  std::size_t size = 0;
  while (const std::size_t count = read_some(descriptor, std::span(start).subspan(size), path)) size += count;
  TRIREME_CHECK(std::memcmp(start.data(), kSignature.data(), kSignature.size()) == 0, DataError, "hdf5",
                "{} must be an HDF5 file; got a file without HDF5's signature; check the path.", quote_path(path));
  const auto lock = lock_hdf5();
  file = opened(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), &H5Fclose, "an HDF5 structure");
}

Hdf5Reader::State::~State() {
  const auto lock = lock_hdf5();
  datasets.clear();
  file.close();
}

Hdf5Handle Hdf5Reader::State::open_attribute(const std::string& name) const {
  const htri_t exists = H5Aexists(file.id(), name.c_str());
  if (exists < 0) fail("attribute " + name);
  TRIREME_CHECK(exists > 0, DataError, "hdf5",
                "{} must have the root attribute {}; got none; check that Trireme or your script wrote it whole.",
                quote_path(path), name);
  Hdf5Handle attribute = opened(H5Aopen(file.id(), name.c_str(), H5P_DEFAULT), &H5Aclose, "attribute " + name);
  const Hdf5Handle space = opened(H5Aget_space(attribute.id()), &H5Sclose, "attribute " + name);
  TRIREME_CHECK(H5Sget_simple_extent_npoints(space.id()) == 1, DataError, "hdf5",
                "{}: attribute {} must be one value; got an array; write it as a scalar.", quote_path(path), name);
  return attribute;
}

void Hdf5Reader::State::read_number(const std::string& name, const NumberKind& kind, hid_t memory, void* value) const {
  const auto lock = lock_hdf5();
  const Hdf5Handle attribute = open_attribute(name);
  const Hdf5Handle type = opened(H5Aget_type(attribute.id()), &H5Tclose, "attribute " + name);
  TRIREME_CHECK(H5Tget_class(type.id()) == kind.type_class, DataError, "hdf5",
                "{}: attribute {} must be {}; got another type; write it as {}.", quote_path(path), name, kind.in_words,
                kind.to_write);
  if (H5Aread(attribute.id(), memory, value) < 0) fail("attribute " + name);
}

const Dataset& Hdf5Reader::State::dataset(const std::string& name) {
  if (const auto found = datasets.find(name); found != datasets.end()) return found->second;
  const std::string what = "dataset /" + name;
  const htri_t exists = H5Lexists(file.id(), name.c_str(), H5P_DEFAULT);
  if (exists < 0) fail(what);
  TRIREME_CHECK(exists > 0, DataError, "hdf5", "{} must hold {}; got none; check that it is the right file.",
                quote_path(path), what);
  const Hdf5Handle access = opened(H5Pcreate(H5P_DATASET_ACCESS), &H5Pclose, what);
  H5Pset_chunk_cache(access.id(), H5D_CHUNK_CACHE_NSLOTS_DEFAULT, kChunkCacheBytes, H5D_CHUNK_CACHE_W0_DEFAULT);
  Dataset opened_dataset{opened(H5Dopen2(file.id(), name.c_str(), access.id()), &H5Dclose, what), {}, {}, {}};
  const Hdf5Handle space = opened(H5Dget_space(opened_dataset.id.id()), &H5Sclose, what);
  const int rank = H5Sget_simple_extent_ndims(space.id());
  TRIREME_CHECK(rank > 0, DataError, "hdf5",
                "{}: {} must have rows; got a single value; check that it is the right file.", quote_path(path), what);
  std::vector<hsize_t> sizes(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), sizes.data(), nullptr);
  int64_t values = 1;
  for (const hsize_t size : sizes) {
    TRIREME_CHECK(
        size <= INT64_MAX && !__builtin_mul_overflow(values, static_cast<int64_t>(std::max<hsize_t>(size, 1)), &values),
        DataError, "hdf5", "{}: {} must have fewer than 2^63 values; got more; {}.", quote_path(path), what,
        kMakeAgain);
    opened_dataset.shape.push_back(static_cast<int64_t>(size));
  }
  opened_dataset.type = opened(H5Dget_type(opened_dataset.id.id()), &H5Tclose, what);
  opened_dataset.dtype = number_dtype(opened_dataset.type.id());
  TRIREME_CHECK(
      opened_dataset.dtype || is_variable_string(opened_dataset.type.id()), DataError, "hdf5",
      "{}: {} must be float32, float16, int64, int32 or variable-length strings; got another type; convert it "
      "(h5py: dtype='f4' or h5py.string_dtype()).",
      quote_path(path), what);
  return datasets.emplace(name, std::move(opened_dataset)).first->second;
}

Hdf5Reader::State::Selection Hdf5Reader::State::select(const std::string& name, const Dataset& source,
                                                       int64_t first_row, int64_t count) const {
  TRIREME_ASSERT(first_row >= 0 && count >= 0 && first_row <= source.shape[0] - count, "rows [{}, {}) of {} of /{}",
                 first_row, first_row + count, shape_string(source.shape), name);
  const std::string what = "dataset /" + name;
  Selection selection;
  selection.shape = source.shape;
  selection.shape[0] = count;
  std::vector<hsize_t> offset(source.shape.size(), 0), sizes(selection.shape.begin(), selection.shape.end());
  offset[0] = static_cast<hsize_t>(first_row);
  selection.memory = opened(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), &H5Sclose, what);
  selection.file = opened(H5Dget_space(source.id.id()), &H5Sclose, what);
  if (H5Sselect_hyperslab(selection.file.id(), H5S_SELECT_SET, offset.data(), nullptr, sizes.data(), nullptr) < 0)
    fail(what);
  return selection;
}

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path) : state_(std::make_unique<State>(path)) {}
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;
Hdf5Reader::~Hdf5Reader() = default;

const std::filesystem::path& Hdf5Reader::path() const noexcept { return state_->path; }

Hdf5Format Hdf5Reader::require_format(std::string_view name, int64_t newest_version) const {
  Hdf5Format format{string_attribute("trireme_format"), int_attribute("format_version"),
                    string_attribute("config_sha256")};
  TRIREME_CHECK(format.name == name, DataError, "hdf5",
                "{} must have trireme_format \"{}\"; got {}; name a file of that kind.", quote_path(path()), name,
                quote_text(format.name));
  TRIREME_CHECK(format.version >= 1 && format.version <= newest_version, DataError, "hdf5",
                "{} must have a format_version from 1 to {}; got {}; read it with a newer Trireme.", quote_path(path()),
                newest_version, format.version);
  return format;
}

std::string Hdf5Reader::string_attribute(const std::string& name) const {
  const auto lock = lock_hdf5();
  const Hdf5Handle attribute = state_->open_attribute(name);
  const Hdf5Handle type = state_->opened(H5Aget_type(attribute.id()), &H5Tclose, "attribute " + name);
  TRIREME_CHECK(is_variable_string(type.id()), DataError, "hdf5",
                "{}: attribute {} must be a variable-length string; got another type; write it so (h5py does for str).",
                quote_path(state_->path), name);
  const Hdf5Handle space = state_->opened(H5Aget_space(attribute.id()), &H5Sclose, "attribute " + name);
  ReadStrings strings(1, type.id(), space.id());
  if (H5Aread(attribute.id(), type.id(), strings.data()) < 0) state_->fail("attribute " + name);
  return std::string(strings[0]);
}

int64_t Hdf5Reader::int_attribute(const std::string& name) const {
  int64_t value = 0;
  state_->read_number(name, {H5T_INTEGER, "an integer", "int64"}, H5T_NATIVE_INT64, &value);
  return value;
}

double Hdf5Reader::double_attribute(const std::string& name) const {
  double value = 0;
  state_->read_number(name, {H5T_FLOAT, "a floating-point number", "float64"}, H5T_NATIVE_DOUBLE, &value);
  return value;
}

bool Hdf5Reader::has_dataset(const std::string& name) const {
  const auto lock = lock_hdf5();
  const htri_t exists = H5Lexists(state_->file.id(), name.c_str(), H5P_DEFAULT);
  if (exists < 0) state_->fail("dataset /" + name);
  return exists > 0;
}

std::vector<int64_t> Hdf5Reader::shape(const std::string& name) const {
  const auto lock = lock_hdf5();
  return state_->dataset(name).shape;
}

std::optional<c10::ScalarType> Hdf5Reader::dtype(const std::string& name) const {
  const auto lock = lock_hdf5();
  return state_->dataset(name).dtype;
}

torch::Tensor Hdf5Reader::read(const std::string& name, int64_t first_row, int64_t count) const {
  const auto lock = lock_hdf5();
  const Dataset& dataset = state_->dataset(name);
  TRIREME_CHECK(dataset.dtype.has_value(), DataError, "hdf5",
                "{}: dataset /{} must hold numbers; got strings; check that it is the right file.",
                quote_path(state_->path), name);
  const State::Selection selection = state_->select(name, dataset, first_row, count);
  torch::Tensor values = at::empty(selection.shape, *dataset.dtype);
  if (values.numel() == 0) return values;
  const Hdf5Handle type = hdf5_number_type(*dataset.dtype);
  if (H5Dread(dataset.id.id(), type.id(), selection.memory.id(), selection.file.id(), H5P_DEFAULT, values.data_ptr()) <
      0)
    state_->fail(fmt::format("rows {} to {} of dataset /{}", first_row, first_row + count - 1, name));
  return values;
}

std::vector<std::string> Hdf5Reader::read_strings(const std::string& name, int64_t first_row, int64_t count) const {
  const auto lock = lock_hdf5();
  const Dataset& dataset = state_->dataset(name);
  TRIREME_CHECK(!dataset.dtype.has_value(), DataError, "hdf5",
                "{}: dataset /{} must hold strings; got numbers; check that it is the right file.",
                quote_path(state_->path), name);
  const State::Selection selection = state_->select(name, dataset, first_row, count);
  std::size_t values = 1;
  for (const int64_t size : selection.shape) values *= static_cast<std::size_t>(size);
  if (values == 0) return {};
  const hid_t type = dataset.type.id();  // the library converts no character sets, so the file's own type is asked for
  ReadStrings strings(values, type, selection.memory.id());
  const std::string what = fmt::format("rows {} to {} of dataset /{}", first_row, first_row + count - 1, name);
  if (H5Dread(dataset.id.id(), type, selection.memory.id(), selection.file.id(), H5P_DEFAULT, strings.data()) < 0)
    state_->fail(what);
  std::vector<std::string> out;
  out.reserve(values);
  for (std::size_t i = 0; i < values; ++i) {
    TRIREME_CHECK(is_valid_utf8(strings[i]), DataError, "hdf5", "{}: {} must be UTF-8; got {}; {}.",
                  quote_path(state_->path), what, quote_text(strings[i]), kMakeAgain);
    out.emplace_back(strings[i]);
  }
  return out;
}

}  // namespace trireme
