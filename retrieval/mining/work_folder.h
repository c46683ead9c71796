#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "core/config/config.h"
#include "data/sources/hard_negatives_file.h"
#include "retrieval/mining/mine_config.h"

namespace trireme {

/// Queries [begin, end) of a group.
struct QueryRange {
  int64_t begin, end;
};

/// OUT.work/ beside OUT: what a mining job has done so far, for the next one when it is killed. Every file in it is
/// whole, and says what it was made of.
///   config.yaml              the config, as far as it changes values
///   pool/, queries/          the source's files, divided (split_source.h)
///   embeddings/NAME.h5       of each of them
///   lists/GROUP.B-E.h5       what was mined for a block of queries, as a file of hard negatives
class WorkFolder {
 public:
  explicit WorkFolder(const std::filesystem::path& out) : path_(out.string() + ".work") {}

  /// Makes the folder. Lists of another config are removed, and the notice says in what it differed. One rank.
  void open(const Resolved<MineConfig>& config, const std::function<void(const std::string&)>& notice) const;
  /// Whether these lists are there and follow from the same (config_sha256 and fingerprint of `wanted`); others are
  /// named, with what differs. One rank.
  bool has_lists(const std::filesystem::path& lists, const HardNegativesInfo& wanted,
                 const std::function<void(const std::string&)>& notice) const;
  /// Removes the lists, and all else unless it is to be kept. One rank.
  void close(bool keep) const;

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path embeddings(const std::string& name) const { return path_ / "embeddings" / (name + ".h5"); }
  std::filesystem::path lists(const std::string& group, QueryRange range) const;

 private:
  std::filesystem::path path_;
};

}  // namespace trireme
