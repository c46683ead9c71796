#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer/component.h"

namespace trireme {

/// The last step of a tokenizer: tokens to the parts of a text. Immutable, safe to use from several threads.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual std::vector<std::string> decode(std::vector<std::string> tokens) const = 0;
};

/// throws DataError: a type that is not built in, a field missing or of a wrong type.
std::unique_ptr<const Decoder> make_decoder(const Component& component);

}  // namespace trireme
