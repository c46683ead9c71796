#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/config/report.h"
#include "core/config/yaml_node.h"

namespace trireme {

/// A value being read or checked: its full path ("optim.peak_lr", "tasks[2].name"), and where problems with it go.
struct ConfigPlace {
  std::string path;
  ConfigReport& report;

  ConfigPlace key(std::string_view name) const;
  ConfigPlace item(std::size_t index) const;
  void refuse(std::string_view required, std::string_view got, std::string_view remedy) const {
    report.refuse(path, required, got, remedy);
  }
  /// Whether this value or something in it was refused already: it holds a default then, and is not judged again.
  bool has_problem() const { return report.any_within(path); }
};

/// Which fields a dump has.
enum class DumpScope {
  kAll,
  kWhatChangesValues,  ///< without the fields marked no_effect_on_values(): what the config's hash is taken of
};

/// Shortest text that reads back to the same bits, always with a point ("1.0e-05"), so that no YAML reader takes it for
/// an integer or a string; ".inf", "-.inf", ".nan".
std::string double_text(double value);

/// The value as a message tells it: -0.5, "bfloat16".
std::string value_shown(int64_t value);
std::string value_shown(double value);
std::string value_shown(const std::string& value);

/// How values of type T are named, read out of YAML, written and checked. read() has put its problems into the report
/// when it returns nothing. Lists, maps, optionals, choices and sections are in codec_of_composites.h.
template <class T>
struct Codec;

template <>
struct Codec<bool> {
  static std::string type() { return "boolean"; }
  static std::optional<bool> read(const YamlNode& node, const ConfigPlace& place, bool current);
  static YamlNode write(bool value, DumpScope) { return YamlNode::plain(value ? "true" : "false"); }
  static void check(bool, const ConfigPlace&) {}
};

template <>
struct Codec<int64_t> {
  static std::string type() { return "integer"; }
  static std::optional<int64_t> read(const YamlNode& node, const ConfigPlace& place, int64_t current);
  static YamlNode write(int64_t value, DumpScope) { return YamlNode::plain(std::to_string(value)); }
  static void check(int64_t, const ConfigPlace&) {}
};

template <>
struct Codec<double> {
  static std::string type() { return "number"; }
  static std::optional<double> read(const YamlNode& node, const ConfigPlace& place, double current);
  static YamlNode write(double value, DumpScope) { return YamlNode::plain(double_text(value)); }
  static void check(double, const ConfigPlace&) {}
};

template <>
struct Codec<std::string> {
  static std::string type() { return "text"; }
  static std::optional<std::string> read(const YamlNode& node, const ConfigPlace& place, std::string current);
  static YamlNode write(const std::string& value, DumpScope) { return YamlNode::string(value); }
  static void check(const std::string& value, const ConfigPlace& place);
};

template <>
struct Codec<std::filesystem::path> {
  static std::string type() { return "path"; }
  static std::optional<std::filesystem::path> read(const YamlNode& node, const ConfigPlace& place,
                                                   std::filesystem::path current);
  static YamlNode write(const std::filesystem::path& value, DumpScope) { return YamlNode::string(value.string()); }
  static void check(const std::filesystem::path& value, const ConfigPlace& place);
};

/// "list of integers", "map of names to (mrope | oned)", from what they hold.
std::string list_type(const std::string& element);
std::string map_type(const std::string& element);
/// "mrope | oned"
std::string choice_type(std::span<const std::string_view> names);
/// The index of the name that `node` holds.
std::optional<std::size_t> read_choice(const YamlNode& node, const ConfigPlace& place,
                                       std::span<const std::string_view> names);
/// Whether `node` is of the kind; refuses it otherwise.
bool expect_list(const YamlNode& node, const ConfigPlace& place);
bool expect_map(const YamlNode& node, const ConfigPlace& place);
/// Keys of maps obey the limits that the YAML reader sets for keys.
void check_map_key(std::string_view key, const ConfigPlace& place);

}  // namespace trireme
