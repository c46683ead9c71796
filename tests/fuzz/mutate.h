#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::fuzz {

/// What mutations start from.
struct Corpus {
  std::vector<std::string> seeds;       ///< well-formed inputs that the target accepts; at least one
  std::vector<std::string> dictionary;  ///< pieces of the format, put in at random: "\"shape\"", "-1", a chunk header
};

/// Input `index` of the endless sequence that `seed` names: one seed of the corpus after one to six edits (bits, bytes,
/// truncation, ranges dropped, doubled or swapped, a splice of two seeds, decimal numbers and binary lengths replaced
/// by extreme ones, pieces of the dictionary). A pure function of its arguments, so that what was found once is found
/// again. At most 1 MiB longer than the longest seed.
std::string mutated_input(const Corpus& corpus, uint64_t seed, uint64_t index);

/// Feeds `target` the corpus as it is, which it must accept, and then mutated inputs for TRIREME_FUZZ_SECONDS (default
/// 2; 60 in the long run; TRIREME_FUZZ_SEED, default 1, names the sequence). It may accept an input or throw
/// trireme::Error with a message fit for a terminal: one line of UTF-8 without control characters, at most 2000 bytes.
/// Fails the running test when it throws anything else (InternalError too), when no mutated input was refused (then
/// nothing was tested), or when the peak memory grew by more than 1 GiB. An input that failed is kept in the file
/// NAME.fuzz_input of the working folder. After a crash or a hang the file NAME.fuzz_position names the input: run the
/// test again with those two variables (TRIREME_FUZZ_FIRST, default 0, is where to begin).
void survives_mutation(std::string_view name, const Corpus& corpus,
                       const std::function<void(const std::string& input)>& target);

}  // namespace trireme::fuzz
