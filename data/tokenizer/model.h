#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "data/tokenizer/component.h"
#include "data/tokenizer/pre_tokenizer.h"
#include "data/tokenizer/vocabulary.h"

namespace trireme {

/// The step that turns words into ids. Immutable, safe to use from several threads.
class TokenizerModel {
 public:
  virtual ~TokenizerModel() = default;
  /// The ids of all words, end to end.
  /// throws DataError: a character without a token where the model names no token for the unknown.
  virtual std::vector<int64_t> encode(const Words& words) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
};

/// throws DataError: a type that is not built in, a field missing or of a wrong type, a vocabulary or merges that
/// contradict themselves.
std::unique_ptr<const TokenizerModel> make_tokenizer_model(const Component& component);

}  // namespace trireme
