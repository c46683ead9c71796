#pragma once

#include <string>
#include <vector>

#include "data/loader/training_set.h"
#include "data/rerank/rerank_batches.h"
#include "tests/data/loader/small_benchmark.h"
#include "tests/support/mined_file.h"

namespace trireme::test {

/// Queries of texts and pictures with mined negatives, and a tokenizer that has the answers. Of each query's list the
/// positive is the third; the list goes on with the concepts that follow.
class RerankSet {
 public:
  explicit RerankSet(int64_t concepts, int64_t queries_global) : benchmark_(concepts) {
    config = benchmark_.config(queries_global);
    config.text_tokens = 256;
    config.max_pixels = 56 * 56;
    config.min_pixels = 28 * 28;
    mined = benchmark_.path() / "hard_negatives.h5";
    model.image_token_id = tokenizer_.token_to_id("<|image_pad|>").value();
    model.image_processor = ImageProcessorConfig{};
    mine(concepts, kQueriesPerConcept * concepts);
  }

  /// Lists for the first `queries` queries only.
  void mine(int64_t concepts, int64_t queries) const {
    std::vector<MinedList> lists;
    for (int64_t query = 0; query < queries; ++query) {
      const int64_t number = query / kQueriesPerConcept;
      const int64_t first_id = query % kQueriesPerConcept == 0 ? 1000 : 0;  // task 0 looks for pictures
      const auto did = [&](int64_t ahead) { return fmt::format("9:{}", first_id + (number + ahead) % concepts); };
      lists.push_back({fmt::format("9:{}", query), {did(1), did(2), did(0), did(3), did(4), did(5), did(6)}, {did(0)}});
    }
    write_mined_file(mined, lists);
  }

  std::vector<RerankBatch> load(int64_t steps, LoaderRank rank = {}, int64_t first = 0) const {
    const MinedNegatives negatives(mined);
    const TrainingSet set(config, &negatives);
    BatchStream<RerankBatch> loader = rerank_batches(set, config, samples, negatives, model, kSeed, rank, first);
    std::vector<RerankBatch> out;
    for (int64_t i = 0; i < steps; ++i) out.push_back(loader.next());
    return out;
  }

  const SmallBenchmark& benchmark() const { return benchmark_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

  static constexpr uint64_t kSeed = 11;
  static constexpr int64_t kQueriesPerConcept = 5;

 private:
  SmallBenchmark benchmark_;
  Tokenizer tokenizer_ = Tokenizer::from_file(TRIREME_TEST_DIR "/golden/prompt/rerank_tokenizer.json");

 public:
  DataConfig config;
  RerankSamplesConfig samples;
  std::filesystem::path mined;  ///< file
  ModelInput model{tokenizer_, -1, std::nullopt};
};

}  // namespace trireme::test
