#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/sources/hard_negatives_file.h"
#include "data/sources/pair_source.h"

namespace trireme {

/// What `trireme mine` found, by query. Safe to use from several threads; they take turns at the file.
class MinedNegatives final : public HardNegatives {
 public:
  /// throws DataError: what HardNegativesFile refuses.
  explicit MinedNegatives(const std::filesystem::path& file);

  std::vector<std::string> of(std::string_view qid) const override;  ///< the negatives: without positives
  bool covers(std::string_view qid) const override;
  /// The whole list, positives too. throws DataError: the query is not covered, or its list is damaged.
  MinedQuery list(std::string_view qid) const;
  const HardNegativesInfo& info() const noexcept { return file_.info(); }
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
  HardNegativesFile file_;
};

}  // namespace trireme
