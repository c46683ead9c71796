#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace trireme {

/// A fully-qualified emoji of Unicode's emoji-test.txt.
struct EmojiSequence {
  std::u32string code_points;  ///< as in the file, U+FE0F too
  std::string name;            ///< English: "grinning face"
  std::string group;           ///< "Smileys & Emotion"
  std::string subgroup;        ///< "face-smiling"
};

/// In the order of the file.
/// throws DataError, with file and line: missing, a line that is not "code points ; status # emoji version name", no
/// fully-qualified emoji at all.
std::vector<EmojiSequence> read_emoji_test(const std::filesystem::path& file);

}  // namespace trireme
