#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/codec_of_composites.h"
#include "core/config/field.h"
#include "core/config/field_count.h"

namespace trireme {

/// One member of a config struct behind a face without its type.
class BoundMember {
 public:
  virtual ~BoundMember() = default;
  virtual void read(const YamlNode& node, const ConfigPlace& place) = 0;
  /// The config has no such key: a section in it is read as an empty one, for it may have required fields.
  virtual void read_absent(const ConfigPlace& place) = 0;
  virtual YamlNode write(DumpScope scope) const = 0;
  virtual void check(const ConfigPlace& place) const = 0;
  virtual std::vector<FieldDescription> children() const = 0;
};

/// The fields of one config struct, bound to one object of it: what describe() is called with. Everything that is done
/// with a config (read, check, dump, help, options) goes over this list. The object must outlive the list.
class FieldList {
 public:
  template <class T>
  explicit FieldList(T& section);
  FieldList(const FieldList&) = delete;
  FieldList& operator=(const FieldList&) = delete;
  ~FieldList();

  /// Called by describe(). `name` is the key: snake_case, once in this list.
  template <class T>
  Field<T> field(std::string_view name, T& member, std::string_view help);

  /// Called by describe(): `part`, a member, is no section of its own; its members are fields of this list.
  template <class T>
  void spreads(const T& part);

  /// Sets the members that `node` has keys for, then lets the section fill what is still unset, unless it has problems;
  /// nothing at all counts as an empty map. Problems: unknown key, wrong type, required key missing.
  void read(const YamlNode& node, const ConfigPlace& place);
  /// The rules of the fields, and those between fields of each section without other problems.
  void check(const ConfigPlace& place) const;
  YamlNode write(DumpScope scope) const;
  std::vector<FieldDescription> descriptions() const;

 private:
  FieldList();
  struct Entry {
    FieldDescription description;
    std::vector<FieldRule> rules;
    std::unique_ptr<BoundMember> member;
  };
  Entry& add(std::string_view name, std::string_view help, const void* address, std::unique_ptr<BoundMember> member);
  void expect_complete(int64_t members, const void* object, std::size_t object_bytes, const char* type) const;
  std::vector<std::string> keys() const;
  void refuse_unknown(std::string_view key, int64_t line, const ConfigPlace& place) const;
  static void read_absent(const Entry& entry, const ConfigPlace& place);
  void apply_rules(const ConfigPlace& place) const;

  std::deque<Entry> entries_;
  std::vector<const void*> addresses_;
  int64_t members_of_parts_ = 0;  ///< beyond the parts themselves
  std::function<void()> fill_unset_;
  std::function<void(Problems&)> check_;
};

/// Adds "optim.peak_lr", .. of all descriptions, sections and their fields, to one list.
std::vector<std::string> all_paths(const std::vector<FieldDescription>& descriptions);

}  // namespace trireme

#include "core/config/field_list_bind.h"
