#include "data/rerank/rerank_batch.h"

#include <algorithm>

#include <ATen/TensorOperators.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"

namespace trireme {
namespace {

int64_t value(const torch::Tensor& tensor, int64_t i) { return tensor.const_data_ptr<int64_t>()[i]; }

/// The labels of sequences that lie end to end.
class LabelWriter {
 public:
  void add(const RerankSample& sample) {
    const std::vector<int64_t>& tokens = sample.sequence.tokens;
    const auto length = std::ssize(tokens);
    for (int64_t place = sample.sequence.turn_begin; place < length; ++place) {
      if (place == sample.decision) decisions_.push_back(std::ssize(labels_));
      rows_.push_back(begin_ + place - 1);
      labels_.push_back(tokens[static_cast<std::size_t>(place)]);
      listwise_.push_back(int64_t{sample.listwise});
    }
    const int64_t right = tokens[static_cast<std::size_t>(sample.decision)];
    for (std::size_t i = 0; i < static_cast<std::size_t>(RerankAnswers::kMaxListLength); ++i)
      options_.push_back(i < sample.options.size() ? sample.options[i] : right);
    begin_ += length;
    label_begins_.push_back(std::ssize(labels_));
  }

  void write(RerankSequences& out) const {
    out.packed.rows = at::tensor(rows_, torch::kInt64);
    out.label = at::tensor(labels_, torch::kInt64);
    out.listwise = at::tensor(listwise_, torch::kInt64).to(torch::kBool);
    out.label_begin = at::tensor(label_begins_, torch::kInt64);
    out.decision = at::tensor(decisions_, torch::kInt64);
    out.options = at::tensor(options_, torch::kInt64).view({-1, RerankAnswers::kMaxListLength});
  }

 private:
  int64_t begin_ = 0;
  std::vector<int64_t> rows_, labels_, listwise_, label_begins_{0}, decisions_, options_;
};

}  // namespace

PairBatchCounts counts_of(const RerankBatch& batch) {
  const PackedBatch& packed = batch.sequences.packed;
  PairBatchCounts counts{.sequences = packed.cu_seqlens.size(0) - 1, .tokens = packed.tokens.size(0)};
  for (const torch::Tensor& grid : {packed.grid, batch.images.grid}) {
    if (grid.defined()) counts.images += grid.size(0);
  }
  for (const torch::Tensor& patches : {packed.patches, batch.images.patches}) {
    if (patches.defined()) counts.patches += patches.size(0);
  }
  return counts;
}

RerankBatch pack_rerank(std::span<const EncodedRerank> queries, std::span<const int64_t> global_rows,
                        const PackOptions& options, bool share_images) {
  TRIREME_ASSERT(queries.size() == global_rows.size(), "{} queries, {} numbers", queries.size(), global_rows.size());
  RerankBatch batch;
  std::vector<SequenceView> views;
  std::vector<const ImagePatches*> images;
  std::vector<int64_t> sequence_ids, feature_rows;
  LabelWriter labels;
  int64_t features = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    const EncodedRerank& query = queries[i];
    std::vector<int64_t> first_feature;
    for (const ImagePatches& image : query.images) {
      images.push_back(&image);
      first_feature.push_back(features);
      features += image.grid_h * image.grid_w / (options.merge_size * options.merge_size);
    }
    first_feature.push_back(features);
    for (std::size_t k = 0; k < EncodedRerank::kSamples; ++k) {
      const RerankSample& sample = query.samples[k];
      views.push_back({sample.sequence.tokens, {}});
      for (const std::size_t image : sample.images) {
        views.back().images.push_back(&query.images[image]);
        for (int64_t row = first_feature[image]; row < first_feature[image + 1]; ++row) feature_rows.push_back(row);
      }
      labels.add(sample);
      sequence_ids.push_back(global_rows[i] * static_cast<int64_t>(EncodedRerank::kSamples) + static_cast<int64_t>(k));
    }
    batch.query_ids.push_back(query.query_id);
    batch.target_ids.push_back(query.target_id);
  }
  RerankSequences& sequences = batch.sequences;
  sequences.packed = share_images ? pack_without_images(views, options) : pack(views, options);
  if (share_images) {
    sequences.feature_rows = at::tensor(feature_rows, torch::kInt64);
    batch.images = pack_images(images);
  }
  labels.write(sequences);
  sequences.sequence_id = at::tensor(sequence_ids, torch::kInt64);
  return batch;
}

RerankSequences slice(const RerankSequences& sequences, SequenceRange range) {
  RerankSequences out;
  out.packed = slice(sequences.packed, range);
  const int64_t begin = value(sequences.label_begin, range.first);
  const int64_t count = value(sequences.label_begin, range.first + range.count) - begin;
  out.sequence_id = sequences.sequence_id.narrow(0, range.first, range.count);
  out.label = sequences.label.narrow(0, begin, count);
  out.listwise = sequences.listwise.narrow(0, begin, count);
  out.label_begin = sequences.label_begin.narrow(0, range.first, range.count + 1) - begin;
  out.decision = sequences.decision.narrow(0, range.first, range.count) - begin;
  out.options = sequences.options.narrow(0, range.first, range.count);
  if (!sequences.feature_rows.defined()) return out;
  const torch::Tensor& image_rows = sequences.packed.image_rows;
  const int64_t* rows = image_rows.const_data_ptr<int64_t>();
  const int64_t first =
      std::lower_bound(rows, rows + image_rows.numel(), value(sequences.packed.cu_seqlens, range.first)) - rows;
  out.feature_rows = sequences.feature_rows.narrow(0, first, out.packed.image_rows.numel());
  return out;
}

}  // namespace trireme
