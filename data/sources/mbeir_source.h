#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sources/candidate_pool.h"
#include "data/sources/pair_source.h"
#include "data/sources/query_line.h"
#include "data/sources/source_config.h"

namespace trireme {

/// M-BEIR's training queries over a candidate pool. A pair's target is a positive drawn from pos_cand_list; the query's
/// text goes under an instruction for (dataset, query modality, that positive's modality): drawn, fixed, or left out.
/// Source: UniIR's data layout, sampled as LamRA (arXiv:2412.01720) does.
/// In memory: 26 bytes a query and 4 a positive.
class MbeirSource final : public PairSource {
 public:
  /// hard_negatives: nullptr = those of neg_cand_list; must outlive the source. Queries that it does not cover are left
  /// out.
  /// throws DataError, with file and line: whatever parse_query() refuses, a positive that the pool lacks (unless
  /// allowed), no instruction for a modality that a positive has, no query left. ConfigError: prompt_number above the
  /// number of a query's instructions.
  MbeirSource(const std::filesystem::path& root, const SourceConfig& config, std::shared_ptr<const CandidatePool> pool,
              const HardNegatives* hard_negatives);

  int64_t size() const noexcept override { return static_cast<int64_t>(rows_.size()); }
  const std::vector<std::string>& groups() const noexcept override { return groups_; }
  int64_t group_of(int64_t row) const noexcept override { return group_of_row_[static_cast<std::size_t>(row)]; }
  PairIdentity identity(int64_t row, RandomStream stream) const override;
  PairSize pair_size(int64_t row, RandomStream stream) const override;
  TrainingPair read(int64_t row, RandomStream stream, int64_t hard_negatives) const override;
  std::string first_image() const override { return first_image_; }
  Record document(std::string_view did, std::string_view where) const override;

  int64_t missing_positives() const noexcept { return missing_positives_; }
  int64_t dropped_queries() const noexcept { return dropped_queries_; }
  int64_t without_negatives() const noexcept { return without_negatives_; }  ///< queries hard_negatives does not cover
  int64_t modality_mismatches() const noexcept { return modality_mismatches_; }  ///< queries, see check_modality()

 private:
  /// What instructions go by: a dataset and the modality of a query.
  struct QueryKind {
    int64_t dataset;
    Modality modality;
    bool operator==(const QueryKind&) const = default;
  };
  struct Row {
    uint32_t file, line;
    int32_t text_bytes;  ///< of the text that is read, less those of its instruction
    uint16_t kind;       ///< of kinds_
    bool has_image;
  };
  uint16_t kind_of(const QueryLine& query);
  void index_file(std::size_t file, const SourceConfig& config);
  void check_instructions(const QueryLine& query, Modality target, const SourceConfig& config,
                          const std::string& where) const;
  std::span<const uint32_t> positives(int64_t row) const;
  QueryLine query_at(int64_t row) const;
  const std::string& draw_instruction(const QueryKind& kind, Modality target, RandomStream& stream,
                                      std::string_view where) const;
  int64_t draw_target(int64_t row, RandomStream& stream) const;
  std::string instructed(const QueryLine& query, Modality target, RandomStream& stream, const std::string& where) const;
  int64_t row_of_negative(std::string_view did, std::string_view where) const;
  /// Rows of the pool.
  std::vector<int64_t> draw_hard_negatives(const QueryLine& query, int64_t row, int64_t count, RandomStream& stream,
                                           const std::string& where) const;

  std::vector<LineIndex> files_;
  std::shared_ptr<const CandidatePool> pool_;
  std::optional<InstructionTable> instructions_;
  InstructionChoice instruction_choice_;
  int64_t prompt_number_;
  const HardNegatives* hard_negatives_;

  std::vector<Row> rows_;
  std::vector<QueryKind> kinds_;
  std::vector<uint64_t> positive_begin_{0};
  std::vector<uint32_t> positive_rows_;
  std::vector<std::string> groups_;
  std::vector<uint16_t> group_of_row_;
  std::string first_image_;
  int64_t missing_positives_ = 0, dropped_queries_ = 0, without_negatives_ = 0;
  int64_t modality_mismatches_ = 0;
  bool allow_modality_mismatch_;
};

}  // namespace trireme
