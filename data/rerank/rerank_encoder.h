#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "data/loader/data_config.h"
#include "data/loader/image_reader.h"
#include "data/loader/model_input.h"
#include "data/prompt/rerank_prompt.h"
#include "data/rerank/rerank_records.h"

namespace trireme {

/// An answered prompt.
struct RerankSample {
  RerankTokens sequence;
  std::vector<std::size_t> images;  ///< of EncodedRerank::images, in the order in which they stand in the prompt
  bool listwise = false;
  int64_t decision = 0;          ///< place in the sequence of the token that decides: Yes, No or a number
  std::vector<int64_t> options;  ///< the tokens that could stand there
};

/// One query's samples: Yes, No, list.
struct EncodedRerank {
  static constexpr std::size_t kSamples = 3;
  std::string query_id, target_id;
  std::vector<ImagePatches> images;  ///< of the query and its documents, each once, whatever samples they are in
  std::array<RerankSample, kSamples> samples;
};

/// Records to samples: decode, augment, resize, patchify, tokenise. Safe to use from several threads.
class RerankEncoder {
 public:
  /// The tokenizer outlives the encoder.
  /// throws ConfigError: min_pixels above max_pixels. DataError: a tokenizer without the chat tokens, or without Yes,
  /// No and the numbers as single tokens.
  RerankEncoder(const DataConfig& config, RerankSpacing spacing, const ModelInput& model, uint64_t seed);
  RerankEncoder(const RerankEncoder&) = delete;
  RerankEncoder& operator=(const RerankEncoder&) = delete;

  /// Augmentation draws from (seed, step, global_row, record), whatever the rank: once for a record.
  /// throws DataError: as PairEncoder::encode().
  EncodedRerank encode(const RerankRecords& records, int64_t step, int64_t global_row) const;

  /// About how many tokens the samples of a pair of that size have.
  int64_t estimated_tokens(const PairSize& size) const;

  const PackOptions& pack_options() const noexcept { return pack_; }

 private:
  ImageReader images_;
  PackOptions pack_;
  uint64_t seed_;
  ChatEncoder chat_;
  RerankPrompt prompt_;
};

}  // namespace trireme
