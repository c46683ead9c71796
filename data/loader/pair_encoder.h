#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "data/loader/data_config.h"
#include "data/loader/image_reader.h"
#include "data/loader/model_input.h"
#include "data/loader/packer.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/pair_source.h"

namespace trireme {

/// A record as one sequence: its image decoded and cut into patches, its text in the prompt.
/// throws DataError naming the record: as ImageReader::read(); reserved tokens in the text.
EncodedSequence encode_record(const Record& record, const ImageReader& images, const EmbeddingPrompt& prompt,
                              const std::string& where, std::optional<RandomStream> stream = {},
                              const ImageReader::OnBytes& on_bytes = {});

/// The sequences of one pair.
struct EncodedPair {
  TrainingPair pair;
  EncodedSequence query, target;
  std::vector<EncodedSequence> hard_negatives;
};

/// Pairs to sequences: decode, augment, resize, patchify, tokenise. Immutable, safe to use from several threads.
class PairEncoder {
 public:
  /// The tokenizer outlives the encoder.
  /// throws ConfigError: min_pixels above max_pixels. DataError: the tokenizer lacks the chat tokens.
  PairEncoder(const DataConfig& config, const ModelInput& model, uint64_t seed);
  PairEncoder(const PairEncoder&) = delete;
  PairEncoder& operator=(const PairEncoder&) = delete;

  /// Augmentation draws from (seed, side, step, global_row), whatever the rank.
  /// throws DataError naming the record and its image: image missing, unreadable or of an impossible size, an image for
  /// a text-only model, reserved tokens in the text.
  EncodedPair encode(TrainingPair pair, int64_t step, int64_t global_row) const;

  /// About how many tokens a pair has: from its bytes of text, and the most that an image can take.
  int64_t estimated_tokens(const PairSize& size) const;

  const PackOptions& pack_options() const noexcept { return pack_; }

 private:
  ImageReader images_;
  PackOptions pack_;
  uint64_t seed_;
  ChatEncoder chat_;
  EmbeddingPrompt prompt_;
};

}  // namespace trireme
