#include "data/preparation/emoji_test.h"

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "data/preparation/concept_key.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

/// " 😀 E1.0 grinning face" -> "grinning face".
std::string_view name_of(std::string_view comment) {
  comment = trimmed(comment);
  for (int word = 0; word < 2; ++word) comment = trimmed(comment.substr(std::min(comment.find(' '), comment.size())));
  return comment;
}

}  // namespace

std::vector<EmojiSequence> read_emoji_test(const std::filesystem::path& file) {
  constexpr std::string_view kGroup = "# group:", kSubgroup = "# subgroup:";
  const std::string text = read_text_file(file);
  std::string group, subgroup;
  std::vector<EmojiSequence> sequences;
  for (const TextLine& line : lines_of(text, file)) {
    if (line.text.starts_with(kGroup)) group = trimmed(line.text.substr(kGroup.size()));
    if (line.text.starts_with(kSubgroup)) subgroup = trimmed(line.text.substr(kSubgroup.size()));
    if (trimmed(line.text).empty() || line.text.starts_with('#')) continue;
    const std::size_t semicolon = line.text.find(';'), hash = line.text.find('#');
    TRIREME_CHECK(semicolon < hash && hash != std::string_view::npos, DataError, line.where(),
                  "a line must read code points ; status # name; got {}; reinstall the package.",
                  quote_text(line.text));
    if (trimmed(line.text.substr(semicolon + 1, hash - semicolon - 1)) != "fully-qualified") continue;
    const std::string_view name = name_of(line.text.substr(hash + 1));
    TRIREME_CHECK(!name.empty(), DataError, line.where(), "an emoji must have a name; got {}; reinstall the package.",
                  quote_text(line.text));
    sequences.push_back({parse_code_points(trimmed(line.text.substr(0, semicolon)), ' ', line.where()),
                         std::string(name), group, subgroup});
  }
  TRIREME_CHECK(!sequences.empty(), DataError, file.string(),
                "the file must list fully-qualified emoji; got none; reinstall the package.");
  return sequences;
}

}  // namespace trireme
