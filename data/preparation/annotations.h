#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trireme {

/// What one language calls an emoji.
struct Annotation {
  std::string name;                   ///< "" = none
  std::vector<std::string> keywords;  ///< in CLDR's order, without the one that repeats the name
};

/// CLDR's annotations of one language: annotations/LANGUAGE.xml, and annotationsDerived/LANGUAGE.xml for sequences that
/// the first does not have. Bidirectional control characters are removed; a value that says "inherit" counts as absent.
class Annotations {
 public:
  /// common: the folder that holds annotations/ and annotationsDerived/. throws DataError: a file missing, not XML.
  Annotations(const std::filesystem::path& common, std::string_view language);
  /// utf8: the sequence without U+FE0F. Empty when CLDR does not have it.
  const Annotation& of(const std::string& utf8) const;

 private:
  void read(const std::filesystem::path& file);
  std::unordered_map<std::string, Annotation> by_sequence_;
};

}  // namespace trireme
