#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/file.h"
#include "core/tensor.h"

namespace trireme {

struct SafetensorsEntry {
  std::string name;
  c10::ScalarType dtype;
  std::vector<int64_t> shape;
  uint64_t begin_bytes, end_bytes;  ///< within the file's data section
};

/// One .safetensors file, memory-mapped. The header is checked whole before any tensor is handed out.
/// throws DataError: shorter than its header says, header above 100 MB or not JSON, unknown dtype, an offset outside
/// the data, overlapping or gapped offsets, a size that contradicts shape and dtype, duplicate names.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::vector<SafetensorsEntry>& entries() const noexcept { return entries_; }  ///< by ascending offset
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  const SafetensorsEntry* find(std::string_view name) const noexcept;  ///< nullptr when absent
  /// Zero-copy view of the mapping, which it keeps alive. Writing to it changes private pages, never the file.
  torch::Tensor tensor(const SafetensorsEntry& entry) const;
  const std::filesystem::path& path() const noexcept { return file_.path(); }

 private:
  MappedFile file_;
  uint64_t data_begin_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<std::string, std::string> metadata_;
};

/// The tensors of a hub folder: model.safetensors, or the shards that model.safetensors.index.json names.
/// throws DataError: neither file, a shard missing, an indexed tensor that its shard lacks, a shard path with a slash.
class SafetensorsFolder {
 public:
  explicit SafetensorsFolder(const std::filesystem::path& folder);
  const std::vector<std::string>& names() const noexcept { return names_; }  ///< sorted
  const SafetensorsEntry* find(std::string_view name) const noexcept;
  torch::Tensor tensor(std::string_view name) const;  ///< throws DataError when absent
  std::vector<std::filesystem::path> paths() const;   ///< the files, sorted: what model_sha256 is taken over

 private:
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t, std::less<>> file_of_;
  std::vector<std::string> names_;
};

/// Writes tensors (any device, made contiguous) atomically, in the order given, aligned to 8 bytes as the format's
/// reference writer does. metadata gets {"format": "pt"} when it has no "format": transformers needs it.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                       std::map<std::string, std::string> metadata = {});

}  // namespace trireme
