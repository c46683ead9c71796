#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/safetensors.h"

namespace trireme {

/// The JSON at the head of a .safetensors file, every entry checked by itself; offsets against each other and against
/// the data are the caller's.
struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< in the file's order
  std::map<std::string, std::string> metadata;
};

/// Memory and time are linear in the text: nothing but the expected nesting is entered. `path` is for messages.
SafetensorsHeader parse_safetensors_header(std::string_view json, const std::filesystem::path& path);

/// The "weight_map" of a model.safetensors.index.json: tensor name -> shard's file name, which must be a plain name.
std::map<std::string, std::string> parse_safetensors_index(std::string_view json, const std::filesystem::path& path);

/// The format's name for a dtype, "" when it has none that we read and write.
std::string_view safetensors_dtype_name(c10::ScalarType dtype) noexcept;

}  // namespace trireme
