#include "core/utf8.h"

#include <simdjson.h>

namespace trireme {

bool is_valid_utf8(std::string_view text) { return simdjson::validate_utf8(text); }

}  // namespace trireme
