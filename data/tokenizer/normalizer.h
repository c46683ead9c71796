#pragma once

#include <memory>
#include <string>

#include "data/tokenizer/component.h"

namespace trireme {

/// The first step of a tokenizer: text to text, valid UTF-8 to valid UTF-8. Immutable, safe to use from several
/// threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual std::string normalize(std::string text) const = 0;
};

/// throws DataError: a type that is not built in, a field missing or of a wrong type.
std::unique_ptr<const Normalizer> make_normalizer(const Component& component);

}  // namespace trireme
