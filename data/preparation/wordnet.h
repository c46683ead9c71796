#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trireme {

struct TextPair {
  std::string anchor, positive;
};

/// (definition of a synset, definition of its hypernym), one for each hypernym pointer ('@') of data.noun and
/// data.verb, in the order of the files. Definitions without their examples.
/// throws DataError, with file and line: missing, a line that is not WordNet's, a pointer to no synset.
std::vector<TextPair> read_hypernym_pairs(const std::filesystem::path& folder);

}  // namespace trireme
