#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/config/field_list.h"

namespace trireme {

/// YAML text and the command line's `section.key=value` laid over it, not typed yet; a map given on the command line is
/// merged key by key, anything else replaces what the file has. What was wrong so far is kept, and told by resolve()
/// together with what it finds itself.
class ConfigSource {
 public:
  /// throws DataError: file missing or unreadable.
  static ConfigSource read(const std::filesystem::path& file, std::span<const std::string> overrides = {});
  /// `name` stands for the file in messages.
  static ConfigSource parse(std::string_view yaml, std::string_view name, std::span<const std::string> overrides = {});
  static ConfigSource of(YamlNode root, std::string where);

  /// The text of a top-level scalar, before anything is typed: which recipe a file is for.
  std::optional<std::string> scalar(std::string_view key) const;

  /// Reads and checks all of it.
  /// throws ConfigError: every problem of the source, of the fields, and between fields.
  void read_into(FieldList& fields) const;

 private:
  ConfigSource(YamlNode root, ConfigReport report) : root_(std::move(root)), report_(std::move(report)) {}
  YamlNode root_;
  ConfigReport report_;
};

/// The whole config as YAML, defaults too, in the order of describe(): dump(parse(dump(x))) == dump(x), byte for byte.
template <Section T>
std::string dump(T value) {
  return emit_yaml(FieldList(value).write(DumpScope::kAll));
}

/// sha256 of the dump without the fields that are marked no_effect_on_values().
template <Section T>
std::string config_sha256(T value);

/// A config that was read whole, filled and checked, and does not change any more. An optional that is still not set
/// means "none", not "not yet".
template <Section T>
class Resolved {
 public:
  /// throws ConfigError: every problem at once.
  static Resolved from(const ConfigSource& source) {
    T value{};
    FieldList fields(value);
    source.read_into(fields);
    return Resolved(value);
  }
  /// For configs made in code; goes the same way as a file's.
  static Resolved from(T value) { return from(ConfigSource::of(FieldList(value).write(DumpScope::kAll), "config")); }

  const T& operator*() const noexcept { return value_; }
  const T* operator->() const noexcept { return &value_; }
  std::string dump() const { return trireme::dump(value_); }
  std::string sha256() const { return config_sha256(value_); }

 private:
  explicit Resolved(T value) : value_(std::move(value)) {}
  T value_;
};

/// The usual way: `trireme train FILE section.key=value ..`.
/// throws DataError: file missing or unreadable. ConfigError: all else, together in one line.
template <Section T>
Resolved<T> load_config(const std::filesystem::path& file, std::span<const std::string> overrides = {}) {
  return Resolved<T>::from(ConfigSource::read(file, overrides));
}

/// sha256 in 64 hex digits of a tree's YAML text.
std::string sha256_of_yaml(const YamlNode& map);

template <Section T>
std::string config_sha256(T value) {
  return sha256_of_yaml(FieldList(value).write(DumpScope::kWhatChangesValues));
}

}  // namespace trireme
