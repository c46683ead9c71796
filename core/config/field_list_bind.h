#pragma once

/// The templates of field_list.h: how a struct and its members become a list. Included by it alone.

#include <typeinfo>
#include <utility>

#include "core/config/field_list.h"

namespace trireme {

template <Section T>
struct Codec<T> {
  static std::string type() { return "section"; }
  static std::optional<T> read(const YamlNode& node, const ConfigPlace& place, T current) {
    FieldList(current).read(node, place);
    return current;
  }
  static YamlNode write(T value, DumpScope scope) { return FieldList(value).write(scope); }
  static void check(T value, const ConfigPlace& place) { FieldList(value).check(place); }
};

namespace config_detail {

template <class T>
struct KindOf {
  static constexpr FieldKind kind = Section<T>                ? FieldKind::kSection
                                    : std::is_same_v<T, bool> ? FieldKind::kFlag
                                                              : FieldKind::kSingle;
};
template <class T>
struct KindOf<std::optional<T>> : KindOf<T> {};
template <class T>
struct KindOf<std::vector<T>> {
  static constexpr FieldKind kind = FieldKind::kList;
};
template <class T>
struct KindOf<std::map<std::string, T>> {
  static constexpr FieldKind kind = FieldKind::kMap;
};

template <class T>
class Bound final : public BoundMember {
 public:
  explicit Bound(T& member) : member_(member) {}
  void read(const YamlNode& node, const ConfigPlace& place) override {
    if (std::optional<T> value = Codec<T>::read(node, place, member_)) member_ = *std::move(value);
  }
  void read_absent(const ConfigPlace& place) override {
    if constexpr (Section<T>) {
      FieldList(member_).read({}, place);
    } else if constexpr (kIsOptional<T> && Section<LeafType<T>>) {
      if (member_) FieldList(*member_).read({}, place);
    }
  }
  YamlNode write(DumpScope scope) const override { return Codec<T>::write(member_, scope); }
  void check(const ConfigPlace& place) const override { Codec<T>::check(member_, place); }
  std::vector<FieldDescription> children() const override {
    if constexpr (Section<T>) {
      return FieldList(member_).descriptions();
    } else if constexpr (Section<LeafType<T>>) {
      LeafType<T> element{};
      return FieldList(element).descriptions();
    } else {
      return {};
    }
  }

 private:
  T& member_;
};

}  // namespace config_detail

template <class T>
FieldList::FieldList(T& section) : FieldList() {
  section.describe(*this);
  expect_complete(field_count<T>(), &section, sizeof(T), typeid(T).name());
  if constexpr (requires { &T::fill_unset; }) {
    fill_unset_ = [&section] { section.fill_unset(); };
  }
  if constexpr (requires { &T::check; }) {
    check_ = [&section](Problems& problems) { std::as_const(section).check(problems); };
  }
}

template <class T>
Field<T> FieldList::field(std::string_view name, T& member, std::string_view help) {
  Entry& entry = add(name, help, &member, std::make_unique<config_detail::Bound<T>>(member));
  entry.description.type = Codec<T>::type();
  entry.description.kind = config_detail::KindOf<T>::kind;
  return Field<T>(entry.description, entry.rules, member);
}

template <class T>
void FieldList::spreads(const T&) {
  members_of_parts_ += field_count<T>() - 1;
}

// Of the types that most fields have, one copy is compiled: in common_fields.cpp.
#define TRIREME_FIELD(how, ...)                         \
  how template class config_detail::Bound<__VA_ARGS__>; \
  how template class Field<__VA_ARGS__>;                \
  how template Field<__VA_ARGS__> FieldList::field(std::string_view, __VA_ARGS__&, std::string_view);
#define TRIREME_COMMON_FIELDS(how)                         \
  TRIREME_FIELD(how, bool)                                 \
  TRIREME_FIELD(how, int64_t)                              \
  TRIREME_FIELD(how, double)                               \
  TRIREME_FIELD(how, std::string)                          \
  TRIREME_FIELD(how, std::filesystem::path)                \
  TRIREME_FIELD(how, std::optional<int64_t>)               \
  TRIREME_FIELD(how, std::optional<double>)                \
  TRIREME_FIELD(how, std::optional<std::string>)           \
  TRIREME_FIELD(how, std::optional<std::filesystem::path>) \
  TRIREME_FIELD(how, std::vector<int64_t>)                 \
  TRIREME_FIELD(how, std::vector<double>)                  \
  TRIREME_FIELD(how, std::vector<std::string>)             \
  TRIREME_FIELD(how, std::vector<std::filesystem::path>)   \
  TRIREME_FIELD(how, std::map<std::string, double>)
TRIREME_COMMON_FIELDS(extern)

}  // namespace trireme
