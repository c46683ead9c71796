#include "retrieval/embedder.h"

#include <algorithm>
#include <chrono>

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include "answering/fingerprint_of.h"
#include "core/distributed/agreement.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/batch_device.h"

namespace trireme {

EmbedCounts LmmEmbedder::embed(const RecordsToEmbed& what, const Communicator& communicator, const EmbeddedRows& take,
                               const EmbedSkipped& skip, const EmbedProgress& progress) const {
  const auto begin = std::chrono::steady_clock::now();
  RecordLoaderOptions options = loader_;
  options.image_root = what.image_root;
  options.on_error = what.on_error;
  RecordLoader loader(what.records, prompt_, std::move(options), communicator.rank(), communicator.size());
  EmbedCounts counts;
  const c10::InferenceMode no_gradient;
  while (auto loaded = loader.next()) {
    if (!loaded->ids.empty()) {
      const PackedBatch batch = on_device(loaded->batch, model_.device);
      take(loaded->first_row, loaded->ids, trireme::embed(model_, batch).cpu());
      counts.records += std::ssize(loaded->ids);
      counts.tokens += loaded->batch.tokens.size(0);
      counts.images += loaded->batch.grid.size(0);
      counts.pictures += loaded->images;
      ++counts.batches;
    }
    counts.skipped += std::ssize(loaded->skipped);
    if (skip) std::ranges::for_each(loaded->skipped, skip);
    if (progress) progress(counts.records + counts.skipped, loader.records());
  }
  counts.embed_s = seconds_since(begin);
  counts.data_wait_s = loader.waited_s();
  return counts;
}

namespace {

/// Those of all ranks, ascending.
std::vector<SkippedRow> all_gather_skipped(Communicator& communicator, const std::vector<SkippedRow>& mine) {
  constexpr char kEnd = '\0';  // ids and reasons hold none
  std::string text;
  for (const SkippedRow& each : mine)
    text += fmt::format("{}{}{}{}{}{}", each.row, kEnd, each.id, kEnd, printable(each.reason), kEnd);
  std::vector<SkippedRow> all;
  for (const std::string& of_rank : all_gather_string(communicator, text)) {
    std::size_t at = 0;
    const auto next = [&] {
      const std::size_t begin = at, end = of_rank.find(kEnd, at);
      at = end + 1;
      return of_rank.substr(begin, end - begin);
    };
    while (at < of_rank.size()) {
      const int64_t row = std::stoll(next());
      std::string id = next();
      all.push_back({row, std::move(id), next()});
    }
  }
  std::ranges::sort(all, {}, &SkippedRow::row);
  return all;
}

}  // namespace

EmbeddedFile embed_in_memory(const Embedder& embedder, const RecordsToEmbed& what, Communicator& communicator,
                             const EmbedProgress& progress) {
  std::vector<SkippedRow> skipped;
  torch::Tensor rows = at::zeros({what.records.size(), embedder.dim()}, torch::kFloat32);
  const EmbedCounts counts = embedder.embed(
      what, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& embedded) {
        rows.narrow(0, first_row, std::ssize(ids)).copy_(embedded);
      },
      [&](const SkippedRow& record) { skipped.push_back(record); }, progress);
  // Each row was written by one rank and is zero on the others, so the sum is exact.
  if (communicator.size() > 1) communicator.all_reduce(rows, ReduceOp::kSum).wait();
  const ImageDigest pictures = summed(counts.pictures, communicator);
  if (what.on_error == OnDataError::kStop) return {std::move(rows), {}, pictures};
  skipped = all_gather_skipped(communicator, skipped);
  TRIREME_CHECK(std::ssize(skipped) < what.records.size(), DataError, "embed",
                "a record at least must be readable; got {} that are not, the first: {}; check the pictures and their "
                "folder.",
                skipped.size(), skipped.front().reason);
  if (skipped.empty()) return {std::move(rows), {}, pictures};
  std::vector<int64_t> kept;
  for (int64_t row = 0; row < what.records.size(); ++row)
    if (!std::ranges::binary_search(skipped, row, {}, &SkippedRow::row)) kept.push_back(row);
  return {at::index_select(rows, 0, at::tensor(kept, torch::kInt64)), std::move(skipped), pictures};
}

}  // namespace trireme
