#include "core/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/io/safetensors_header.h"
#include "core/json.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr std::size_t kLengthBytes = 8;            // the header's length, little-endian, at the start of the file
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as the format's reference reader has it
constexpr std::string_view kDownloadAgain = "download or write it again";

uint64_t read_little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | std::to_integer<uint64_t>(bytes[i - 1]);
  return value;
}

std::string little_endian(uint64_t value) {
  std::string bytes(kLengthBytes, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return bytes;
}

/// The header's text; what follows it is data.
std::string_view header_text(const MappedFile& file) {
  const std::string name = quote_path(file.path());
  const std::span<const std::byte> bytes = file.bytes();
  TRIREME_CHECK(bytes.size() >= kLengthBytes, DataError, "safetensors",
                "{} must start with the 8-byte length of its header; got a file of {} bytes; {}.", name, bytes.size(),
                kDownloadAgain);
  const uint64_t length = read_little_endian(bytes.first(kLengthBytes));
  TRIREME_CHECK(
      length <= kMaxHeaderBytes, DataError, "safetensors",
      "{} must have a header of at most {} bytes; got a length of {}; check that it is a safetensors file, or "
      "{}.",
      name, kMaxHeaderBytes, length, kDownloadAgain);
  TRIREME_CHECK(length <= bytes.size() - kLengthBytes, DataError, "safetensors",
                "{} must hold the {} bytes of its header; got {} bytes after the length; {}.", name, length,
                bytes.size() - kLengthBytes, kDownloadAgain);
  const std::string_view text = file.text().substr(kLengthBytes, length);
  TRIREME_CHECK(text.starts_with('{'), DataError, "safetensors",
                "{} must have a header that starts with '{{'; got {}; check that it is a safetensors file, or {}.",
                name, quote_text(text.substr(0, 1)), kDownloadAgain);
  return text;
}

/// Tensors must fill the data from its first byte to its last, without gap or overlap.
void check_layout(const std::vector<SafetensorsEntry>& entries, uint64_t data_bytes,
                  const std::filesystem::path& path) {
  uint64_t needed_bytes = 0;
  for (const SafetensorsEntry& entry : entries) needed_bytes = std::max(needed_bytes, entry.end_bytes);
  TRIREME_CHECK(needed_bytes <= data_bytes, DataError, "safetensors",
                "{} must hold the {} bytes of data that its header promises; got {}: it is truncated; {}.",
                quote_path(path), needed_bytes, data_bytes, kDownloadAgain);
  uint64_t end_bytes = 0;
  for (const SafetensorsEntry& entry : entries) {
    TRIREME_CHECK(entry.begin_bytes == end_bytes, DataError, "safetensors",
                  "{}: tensor {} must begin at byte {} of the data, where the one before it ends; got {}: they {}; {}.",
                  quote_path(path), quote_text(entry.name), end_bytes, entry.begin_bytes,
                  entry.begin_bytes < end_bytes ? "overlap" : "leave a gap", kDownloadAgain);
    end_bytes = entry.end_bytes;
  }
  TRIREME_CHECK(end_bytes == data_bytes, DataError, "safetensors",
                "{} must end with its last tensor, after {} bytes of data; got {}; {}.", quote_path(path), end_bytes,
                data_bytes, kDownloadAgain);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::string_view text = header_text(file_);
  SafetensorsHeader header = parse_safetensors_header(text, path);
  data_begin_ = kLengthBytes + text.size();
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
  std::sort(entries_.begin(), entries_.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin_bytes, a.end_bytes, a.name) < std::tie(b.begin_bytes, b.end_bytes, b.name);
  });
  check_layout(entries_, file_.bytes().size() - data_begin_, path);
  for (std::size_t i = 0; i < entries_.size(); ++i) by_name_.emplace(entries_[i].name, i);
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

torch::Tensor SafetensorsFile::tensor(const SafetensorsEntry& entry) const {
  const std::span<std::byte> bytes =
      file_.bytes().subspan(data_begin_ + entry.begin_bytes, entry.end_bytes - entry.begin_bytes);
  if (entry.dtype == torch::kBool) {
    const auto bad = std::find_if(bytes.begin(), bytes.end(), [](std::byte value) { return value > std::byte{1}; });
    TRIREME_CHECK(bad == bytes.end(), DataError, "safetensors",
                  "{}: tensor {} of dtype BOOL must hold 0 and 1; got {}; {}.", quote_path(path()),
                  quote_text(entry.name), std::to_integer<int>(*bad), kDownloadAgain);
  }
  const bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % c10::elementSize(entry.dtype) == 0;
  if (bytes.empty() || !aligned) {
    torch::Tensor copy = at::empty(entry.shape, entry.dtype);
    if (!bytes.empty()) std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
    return copy;
  }
  return at::from_blob(
      bytes.data(), entry.shape, [owner = file_.owner()](void*) {}, entry.dtype);
}

namespace {

/// model.safetensors alone, or the shards in the index, sorted by name; each tensor's shard in the second case.
struct FolderLayout {
  std::vector<std::filesystem::path> files;
  std::map<std::string, std::string> indexed_file_of;
};

FolderLayout find_files(const std::filesystem::path& folder) {
  const std::filesystem::path single = folder / "model.safetensors", index = folder / "model.safetensors.index.json";
  std::error_code ignored;
  if (std::filesystem::exists(single, ignored)) return {{single}, {}};
  TRIREME_CHECK(std::filesystem::is_directory(folder, ignored), DataError, "safetensors",
                "{} must be a folder with model.safetensors in it; got {}; check the path.", quote_path(folder),
                std::filesystem::exists(folder, ignored) ? "a file" : "no such folder");
  TRIREME_CHECK(std::filesystem::exists(index, ignored), DataError, "safetensors",
                "{} must hold model.safetensors or model.safetensors.index.json; got neither; check the path, download "
                "the weights, or convert other formats to safetensors.",
                quote_path(folder));
  FolderLayout layout{{}, parse_safetensors_index(MappedFile(index).text(), index)};
  std::set<std::string> names;
  for (const auto& [tensor, file] : layout.indexed_file_of) names.insert(file);
  for (const std::string& name : names) {
    TRIREME_CHECK(std::filesystem::exists(folder / name, ignored), DataError, "safetensors",
                  "{} must hold every shard that its index names; got no {} ({} shards named); download it.",
                  quote_path(folder), quote_text(name), names.size());
    layout.files.push_back(folder / name);
  }
  return layout;
}

}  // namespace

SafetensorsFolder::SafetensorsFolder(const std::filesystem::path& folder) : folder_(folder) {
  const FolderLayout layout = find_files(folder);
  for (const std::filesystem::path& path : layout.files) {
    const SafetensorsFile& file = files_.emplace_back(path);
    for (const SafetensorsEntry& entry : file.entries()) {
      const auto [found, is_first] = file_of_.emplace(entry.name, files_.size() - 1);
      TRIREME_CHECK(is_first, DataError, "safetensors", "{}: tensor {} must be in one shard; got it in {} and {}; {}.",
                    quote_path(folder), quote_text(entry.name), quote_path(files_[found->second].path().filename()),
                    quote_path(path.filename()), kDownloadAgain);
    }
  }
  for (const auto& [name, file] : layout.indexed_file_of) {
    const auto found = file_of_.find(name);
    TRIREME_CHECK(found != file_of_.end() && files_[found->second].path().filename() == file, DataError, "safetensors",
                  "{}: tensor {} must be in {}, as the index says; got it {}; {}.", quote_path(folder),
                  quote_text(name), quote_text(file), found == file_of_.end() ? "in no shard" : "in another shard",
                  kDownloadAgain);
  }
  for (const auto& [name, file] : file_of_) names_.push_back(name);
}

const SafetensorsEntry* SafetensorsFolder::find(std::string_view name) const noexcept {
  const auto found = file_of_.find(name);
  return found == file_of_.end() ? nullptr : files_[found->second].find(name);
}

torch::Tensor SafetensorsFolder::tensor(std::string_view name) const {
  const auto found = file_of_.find(name);
  TRIREME_CHECK(found != file_of_.end(), DataError, "safetensors",
                "{} must hold tensor {}; got {} others; check that it is the right checkpoint.", quote_path(folder_),
                quote_text(name), names_.size());
  const SafetensorsFile& file = files_[found->second];
  return file.tensor(*file.find(name));
}

std::vector<std::filesystem::path> SafetensorsFolder::paths() const {
  std::vector<std::filesystem::path> paths;
  for (const SafetensorsFile& file : files_) paths.push_back(file.path());
  return paths;
}

namespace {

/// Length and JSON, padded with spaces so that the data begins at a multiple of 8.
std::string header_bytes(const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::string json = fmt::format("{{\"__metadata__\":{}", dump_json(nlohmann::json(metadata)));
  uint64_t begin_bytes = 0;
  std::set<std::string_view> names{"__metadata__"};
  for (const auto& [name, tensor] : tensors) {
    TRIREME_ASSERT(names.insert(name).second, "tensor {} stands twice or has a reserved name", quote_text(name));
    const std::string_view dtype = safetensors_dtype_name(tensor.scalar_type());
    TRIREME_CHECK(!dtype.empty(), ShapeError, "safetensors",
                  "tensor {} must have a dtype that the format knows; got {}; convert it first.", quote_text(name),
                  shape_string(tensor));
    const uint64_t end_bytes = begin_bytes + tensor.nbytes();
    json += fmt::format(R"(,{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", dump_json(nlohmann::json(name)),
                        dtype, dump_json(nlohmann::json(tensor.sizes().vec())), begin_bytes, end_bytes);
    begin_bytes = end_bytes;
  }
  json += '}';
  json.resize((json.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  TRIREME_CHECK(json.size() <= kMaxHeaderBytes, DataError, "safetensors",
                "a header must have at most {} bytes; got {}; write the tensors to several files.", kMaxHeaderBytes,
                json.size());
  return little_endian(json.size()) + json;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                       std::map<std::string, std::string> metadata) {
  metadata.emplace("format", "pt");
  const std::string header = header_bytes(tensors, metadata);
  AtomicFile file(path);
  file.write(header);
  for (const auto& [name, tensor] : tensors) {
    const torch::Tensor values = tensor.detach().to(torch::kCPU).contiguous();
    file.write(std::span(static_cast<const std::byte*>(values.const_data_ptr()), values.nbytes()));
  }
  file.commit();
}

}  // namespace trireme
