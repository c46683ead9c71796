#pragma once

#include <memory>

#include "data/tokenizer/model.h"

namespace trireme {

/// Byte pair encoding: a word's characters become tokens, then the neighbours of the lowest rank merge until none can.
/// Source: Sennrich et al. 2016, arXiv:1508.07909, section 3.2. Cost: n log n for a word of n characters.
/// throws DataError: fields missing or of a wrong type, a merge of or into an unknown token, dropout.
std::unique_ptr<const TokenizerModel> make_bpe(const Component& component);

}  // namespace trireme
