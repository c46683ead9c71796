#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// Where part of a dataset comes from.
struct SourcePackage {
  std::string name, version, what, licence;
  bool operator==(const SourcePackage&) const = default;
};

/// One line of the table of counts.
struct SplitCounts {
  std::string what;
  int64_t train = 0, val = 0, test = 0;
  bool operator==(const SplitCounts&) const = default;
};

/// manifest.json of a prepared dataset: what it was made of, how much there is, and the hash of every other file.
struct DatasetManifest {
  std::string dataset;
  std::vector<SourcePackage> sources;
  std::vector<SplitCounts> counts;
  std::vector<std::string> notes;             ///< what a reader of the counts should know
  std::map<std::string, std::string> sha256;  ///< path below the folder -> 64 hex digits
};

/// Whether the folder holds a manifest.json.
bool is_prepared_dataset(const std::filesystem::path& folder);

/// throws DataError: missing, not JSON, of another format or version, fields missing.
DatasetManifest read_manifest(const std::filesystem::path& folder);

/// Reads every file again, on all threads. throws DataError: a file missing or changed (the first by name, and how many
/// there are), or one that the manifest does not know.
void verify_files(const std::filesystem::path& folder, const DatasetManifest& manifest);

/// Writes a dataset folder whole or not at all: files go to a hidden folder beside `folder`, which commit() syncs and
/// renames. Without commit() it is removed. write() may be called from several threads.
class DatasetWriter {
 public:
  /// throws DataError: `folder` exists and is not empty, or the folder above it is not writable.
  explicit DatasetWriter(std::filesystem::path folder);
  ~DatasetWriter();
  DatasetWriter(const DatasetWriter&) = delete;
  DatasetWriter& operator=(const DatasetWriter&) = delete;

  /// `path` below the folder; its parents are made. throws DataError: disk full and the like.
  void write(const std::filesystem::path& path, std::string_view content);
  /// Adds manifest.json with the hashes of what was written; returns it.
  DatasetManifest commit(DatasetManifest manifest);

 private:
  std::filesystem::path folder_, temporary_;
  std::mutex mutex_;
  std::map<std::string, std::string> sha256_;
};

/// For people: sources and licences, counts, what tasks.yaml lists, and up to ten queries with what answers them.
/// throws as read_manifest() and read_task_list(); DataError on a query file that is not M-BEIR's.
std::string describe_dataset(const std::filesystem::path& folder);

}  // namespace trireme
