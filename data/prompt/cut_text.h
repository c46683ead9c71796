#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "data/tokenizer/tokenizer.h"

namespace trireme {

/// The text of its first `tokens` tokens, as LamRA cuts texts: tokenised, cut and decoded again. A text that is no
/// longer than that, and any text when tokens is nullopt, comes back as it was.
std::string cut_text(const Tokenizer& tokenizer, std::string_view text, std::optional<int64_t> tokens);

}  // namespace trireme
