#include "losses/pair_exclusion.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include "core/config/choice.h"
#include "core/shape.h"

namespace trireme {
namespace {

bool excludes(const InfoNceConfig& config, PairRelation relation) {
  return std::ranges::find(config.exclude, relation) != config.exclude.end();
}

void check_label(std::string_view name, const torch::Tensor& label, std::vector<int64_t> sizes, PairRelation relation) {
  TRIREME_CHECK(label.defined() && label.sizes() == c10::IntArrayRef(sizes) && label.scalar_type() == torch::kInt64 &&
                    label.is_cpu(),
                ShapeError, "info_nce", "{} must be {} int64 on the CPU for loss.exclude {}; got {}; fill PairLabels.",
                name, shape_string(c10::IntArrayRef(sizes)), choice_name(relation), shape_string(label));
}

/// Columns by the id they carry.
using ColumnsOfId = std::unordered_map<int64_t, std::vector<int64_t>>;
ColumnsOfId columns_of_id(const torch::Tensor& ids) {
  const torch::Tensor on_cpu = ids.cpu().contiguous();
  const int64_t* id = on_cpu.const_data_ptr<int64_t>();
  ColumnsOfId columns;
  for (int64_t j = 0; j < on_cpu.numel(); ++j) columns[id[j]].push_back(j);
  return columns;
}

}  // namespace

void check_labels(const PairLabels& labels, const InfoNceConfig& config, int64_t rows, int64_t hard_negatives) {
  const auto check_ids = [&](PairRelation relation) {
    check_label("candidate_id", labels.candidate_id, {rows}, relation);
    if (hard_negatives > 0) check_label("hard_negative_id", labels.hard_negative_id, {rows, hard_negatives}, relation);
  };
  for (const PairRelation relation : config.exclude) {
    switch (relation) {
      case PairRelation::kSameCandidate:
        check_ids(relation);
        break;
      case PairRelation::kSameQuery:
        check_label("query_id", labels.query_id, {rows}, relation);
        break;
      case PairRelation::kSameConcept:
        check_label("concept_id", labels.concept_id, {rows}, relation);
        if (hard_negatives > 0)
          check_label("hard_negative_concept", labels.hard_negative_concept, {rows, hard_negatives}, relation);
        break;
      case PairRelation::kKnownPositive: {
        check_ids(relation);
        check_label("known_offset", labels.known_offset, {rows + 1}, relation);
        const int64_t ids = labels.known_id.defined() ? labels.known_id.numel() : 0;
        check_label("known_id", labels.known_id, {ids}, relation);
        const torch::Tensor offset = labels.known_offset.contiguous();
        const int64_t* begin = offset.const_data_ptr<int64_t>();
        TRIREME_CHECK(begin[0] == 0 && begin[rows] == ids && std::is_sorted(begin, begin + rows + 1), ShapeError,
                      "info_nce",
                      "known_offset must ascend from 0 to the length of known_id, {}; got {} to {}; give one list a "
                      "query.",
                      ids, begin[0], begin[rows]);
        break;
      }
    }
  }
}

PairExclusion::PairExclusion(const PairLabels& labels, const InfoNceConfig& config, const RowLayout& layout,
                             c10::Device device, Communicator& comm)
    : device_(device), any_(!config.exclude.empty()) {
  if (!any_) return;
  const bool same_candidate = excludes(config, PairRelation::kSameCandidate);
  const bool same_query = excludes(config, PairRelation::kSameQuery);
  const bool same_concept = excludes(config, PairRelation::kSameConcept);
  const bool known_positive = excludes(config, PairRelation::kKnownPositive);
  const int64_t n = layout.hard_negatives;
  const int64_t rows = layout.my_rows();

  // One message: a column for each label, or for each of a query's hard negatives.
  std::vector<torch::Tensor> fields;
  const auto add = [&](const torch::Tensor& label) { fields.push_back(label.reshape({rows, -1})); };
  const bool ids = same_candidate || known_positive;
  if (ids) add(labels.candidate_id);
  if (ids && n > 0) add(labels.hard_negative_id);
  if (same_query) add(labels.query_id);
  if (same_concept) add(labels.concept_id);
  if (same_concept && n > 0) add(labels.hard_negative_concept);
  if (known_positive) add(labels.known_offset.slice(0, 1) - labels.known_offset.slice(0, 0, rows));
  const torch::Tensor all = all_gather_rows(at::cat(fields, 1).to(device), layout, comm);
  int64_t column = 0;
  const auto take = [&](int64_t width) {
    column += width;
    return all.narrow(1, column - width, width).flatten().contiguous();
  };
  if (ids) candidate_id_ = take(1);
  if (ids && n > 0) hard_negative_id_ = take(n);
  if (same_query) query_id_ = take(1);
  if (same_concept) concept_id_ = take(1);
  if (same_concept && n > 0) hard_negative_concept_ = take(n);
  if (known_positive) add_known(labels, take(1).cpu(), layout, comm);
  if (!same_candidate) {
    candidate_id_.reset();
    hard_negative_id_.reset();
  }
}

void PairExclusion::add_known(const PairLabels& labels, const torch::Tensor& counts, const RowLayout& layout,
                              Communicator& comm) {
  // Never empty, so that the call is made whatever the data is.
  const torch::Tensor mine = at::zeros({std::max<int64_t>(layout.most_known_ids, 1)}, candidate_id_.options());
  mine.narrow(0, 0, labels.known_id.numel()).copy_(labels.known_id);
  const torch::Tensor by_rank = at::zeros({layout.ranks(), mine.numel()}, mine.options());
  comm.all_gather(by_rank, mine).wait();
  const torch::Tensor ids = by_rank.cpu();

  const ColumnsOfId candidates = columns_of_id(candidate_id_);
  const ColumnsOfId hard_negatives = hard_negative_id_.defined() ? columns_of_id(hard_negative_id_) : ColumnsOfId{};
  const auto append = [](PairList& pairs, const ColumnsOfId& columns, int64_t query, int64_t id) {
    const auto found = columns.find(id);
    if (found == columns.end()) return;
    for (const int64_t j : found->second) pairs.emplace_back(query, j);
  };
  const int64_t* count = counts.const_data_ptr<int64_t>();
  int64_t query = 0;
  for (int64_t r = 0; r < layout.ranks(); ++r) {
    const int64_t* id = ids.const_data_ptr<int64_t>() + r * ids.size(1);
    for (int64_t i = 0; i < layout.rows_of_rank[static_cast<std::size_t>(r)]; ++i, ++query) {
      for (int64_t k = 0; k < count[query]; ++k, ++id) {
        append(known_candidates_, candidates, query, *id);
        append(known_hard_negatives_, hard_negatives, query, *id);
      }
    }
  }
  std::ranges::sort(known_candidates_);
  std::ranges::sort(known_hard_negatives_);
}

torch::Tensor PairExclusion::equal_labels(TileRange queries, TileRange columns, bool of_hard_negatives) const {
  torch::Tensor tile;
  const auto compare = [&](const torch::Tensor& query_label, const torch::Tensor& column_label) {
    if (!query_label.defined() || !column_label.defined()) return;
    const torch::Tensor equal = query_label.narrow(0, queries.first, queries.count).unsqueeze(1) ==
                                column_label.narrow(0, columns.first, columns.count).unsqueeze(0);
    tile = tile.defined() ? tile.logical_or_(equal) : equal;
  };
  if (of_hard_negatives) {
    compare(concept_id_, hard_negative_concept_);
  } else {
    compare(concept_id_, concept_id_);
  }
  if (tile.defined()) tile.logical_and_(concept_id_.narrow(0, queries.first, queries.count).ge(0).unsqueeze(1));
  compare(candidate_id_, of_hard_negatives ? hard_negative_id_ : candidate_id_);
  if (!of_hard_negatives) compare(query_id_, query_id_);
  if (tile.defined()) return tile;
  return at::zeros({queries.count, columns.count}, torch::TensorOptions(torch::kBool).device(device_));
}

void PairExclusion::mark(torch::Tensor& tile, const PairList& pairs, TileRange queries, TileRange columns) const {
  std::vector<int64_t> places;
  const auto begin = std::ranges::lower_bound(pairs, std::pair<int64_t, int64_t>(queries.first, 0));
  for (auto pair = begin; pair != pairs.end() && pair->first < queries.end(); ++pair) {
    if (pair->second >= columns.first && pair->second < columns.end())
      places.push_back((pair->first - queries.first) * columns.count + pair->second - columns.first);
  }
  if (places.empty()) return;
  const torch::Tensor index =
      at::from_blob(places.data(), {static_cast<int64_t>(places.size())}, torch::kInt64).to(tile.device());
  tile.view(-1).index_fill_(0, index, 1);
}

torch::Tensor PairExclusion::candidates(TileRange queries, TileRange columns) const {
  if (!any_) return {};
  torch::Tensor tile = equal_labels(queries, columns, false);
  mark(tile, known_candidates_, queries, columns);
  return tile;
}

torch::Tensor PairExclusion::hard_negatives(TileRange queries, TileRange columns) const {
  if (!any_) return {};
  torch::Tensor tile = equal_labels(queries, columns, true);
  mark(tile, known_hard_negatives_, queries, columns);
  return tile;
}

}  // namespace trireme
