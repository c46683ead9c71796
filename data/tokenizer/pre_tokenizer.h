#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/component.h"
#include "data/tokenizer/pattern.h"

namespace trireme {

/// A text cut into words: the model merges nothing across their borders. No word is empty; bytes between two words are
/// dropped.
struct Words {
  std::string text;
  std::vector<Span> spans;  ///< ascending, not overlapping
  std::string_view operator[](std::size_t i) const {
    return std::string_view(text).substr(spans[i].begin, spans[i].end - spans[i].begin);
  }
};

/// The step that cuts a text into words; some rewrite them too. Immutable, safe to use from several threads.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual Words split(Words words) const = 0;
};

/// throws DataError: a type that is not built in, a field missing or of a wrong type.
std::unique_ptr<const PreTokenizer> make_pre_tokenizer(const Component& component);

}  // namespace trireme
