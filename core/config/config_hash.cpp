#include <span>

#include "core/config/config.h"
#include "core/io/hash.h"

namespace trireme {

std::string sha256_of_yaml(const YamlNode& map) {
  const std::string text = emit_yaml(map);
  return sha256_hex(std::as_bytes(std::span(text)));
}

}  // namespace trireme
