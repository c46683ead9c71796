#include "data/preparation/annotations.h"

#include <pugixml.hpp>

#include "core/error.h"
#include "data/preparation/concept_key.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

constexpr std::string_view kInherit = "↑↑↑";

bool is_bidi_control(char32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

std::string without(std::string_view text, bool (*drop)(char32_t), std::string_view where) {
  std::u32string kept;
  for (char32_t c : from_utf8(text, where)) {
    if (!drop(c)) kept.push_back(c);
  }
  return to_utf8(kept);
}

}  // namespace

Annotations::Annotations(const std::filesystem::path& common, std::string_view language) {
  for (const char* folder : {"annotations", "annotationsDerived"})
    read(common / folder / fmt::format("{}.xml", language));
  for (auto& [sequence, annotation] : by_sequence_) std::erase(annotation.keywords, annotation.name);
}

void Annotations::read(const std::filesystem::path& file) {
  pugi::xml_document document;
  const pugi::xml_parse_result result = document.load_file(file.c_str());
  TRIREME_CHECK(result, DataError, file.string(), "the file must be XML; got \"{}\" at byte {}; reinstall the package.",
                result.description(), result.offset);
  const std::string where = file.string();
  for (const pugi::xml_node& node : document.child("ldml").child("annotations").children("annotation")) {
    const std::string sequence = without(
        node.attribute("cp").value(), [](char32_t c) { return c == 0xFE0F; }, where);
    const std::string text = without(node.text().get(), is_bidi_control, where);
    if (trimmed(text).empty() || trimmed(text) == kInherit) continue;
    Annotation& annotation = by_sequence_[sequence];
    if (std::string_view(node.attribute("type").value()) == "tts") {
      if (annotation.name.empty()) annotation.name = trimmed(text);
    } else if (annotation.keywords.empty()) {
      for (std::string_view keyword : split_text(text, '|')) {
        if (!trimmed(keyword).empty()) annotation.keywords.emplace_back(trimmed(keyword));
      }
    }
  }
}

const Annotation& Annotations::of(const std::string& utf8) const {
  static const Annotation kNone;
  const auto found = by_sequence_.find(utf8);
  return found == by_sequence_.end() ? kNone : found->second;
}

}  // namespace trireme
