#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

/// One JSON object of a settings file (config.json, adapter_config.json), read field by field. A field that is null
/// counts as absent, as it does for the Python programs that write these files. Cheap to copy.
/// Every error is a DataError whose place is the file and whose text names the field by its path in the file:
///   [ckpt/config.json] vision_config.depth must be an integer; got "32"; ...
class JsonObject {
 public:
  /// throws DataError: missing, unreadable, above 16 MiB, not JSON (with the position), nested deeper than 64 levels,
  /// more than 10,000 fields, not an object at the top.
  static JsonObject read(const std::filesystem::path& file);

  bool has(std::string_view key) const;
  std::vector<std::string> keys() const;  ///< in the order of the file, null ones too

  /// nullopt when absent; DataError when of another type. T: bool, int64_t, double (integers too), std::string,
  /// std::vector<int64_t>, std::vector<std::string>, JsonObject.
  template <class T>
  std::optional<T> find(std::string_view key) const;
  /// As find(), but absence is a DataError.
  template <class T>
  T get(std::string_view key) const;

  /// null, false, 0, "", [] and {} (and absence): what an option that is switched off looks like.
  bool is_off(std::string_view key) const;
  bool is_array(std::string_view key) const;
  bool is_string(std::string_view key) const;
  /// The value as JSON text in ASCII, cut to a line's length: for messages.
  std::string shown(std::string_view key) const;
  /// "vision_config.depth": the field's path in the file; keys that are not plain words in quotes.
  std::string path_of(std::string_view key) const;
  const std::string& file() const noexcept { return file_; }

 private:
  JsonObject(std::shared_ptr<const nlohmann::ordered_json> value, std::string file, std::string prefix)
      : value_(std::move(value)), file_(std::move(file)), prefix_(std::move(prefix)) {}
  const nlohmann::ordered_json* value_at(std::string_view key) const;

  std::shared_ptr<const nlohmann::ordered_json> value_;
  std::string file_, prefix_;
};

}  // namespace trireme
