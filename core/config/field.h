#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "core/config/codec.h"
#include "core/config/field_description.h"
#include "core/config/leaf.h"

namespace trireme {

/// One rule for the value of a field: puts a problem into the report when the value breaks it.
using FieldRule = std::function<void(const ConfigPlace&)>;
void add_rule(std::vector<FieldRule>& rules, FieldRule rule);

/// The handle that v.field(..) returns inside describe(): says more about the field just listed. A rule about numbers
/// or texts holds for each element of a list or map, and for an optional when it is set. Infinities and NaN are refused
/// unless allow_non_finite() is said.
template <class T>
class Field {
 public:
  using Leaf = config_detail::LeafType<T>;
  static constexpr bool kNumbers = std::is_same_v<Leaf, int64_t> || std::is_same_v<Leaf, double>;

  Field(FieldDescription& description, std::vector<FieldRule>& rules, const T& member)
      : description_(description), rules_(rules), member_(member) {
    if constexpr (std::is_same_v<Leaf, double>) {
      add_rule(rules_, rule("finite", "write a finite number", [](double value) { return std::isfinite(value); }));
    }
  }

  /// Must be given: has no default. Empty text, lists and maps, and an optional that is not set, do not count as given.
  Field& required() {
    description_.required = true;
    if constexpr (config_detail::CanBeAbsent<T>) {
      add_rule(rules_, [&member = member_](const ConfigPlace& place) {
        if (!place.has_problem() && config_detail::is_absent(member)) place.refuse("given", "nothing", "set it");
      });
    }
    return *this;
  }
  /// Left out of the config's hash: output paths, thread counts, logging.
  Field& no_effect_on_values() {
    description_.changes_values = false;
    return *this;
  }
  /// On a command line, given by its place and not as --name; a list takes all that are left.
  Field& positional() {
    description_.positional = true;
    return *this;
  }
  Field& placeholder(std::string_view text) {
    description_.placeholder = text;
    return *this;
  }

  Field& positive() requires kNumbers {
    return limit("positive", "set it above 0", [](const Leaf& value) { return value > 0; });
  }
  Field& at_least(Leaf low) requires kNumbers {
    return limit(fmt::format("at least {}", low), fmt::format("set it to {} or more", low),
                 [low](const Leaf& value) { return value >= low; });
  }
  Field& at_most(Leaf high) requires kNumbers {
    return limit(fmt::format("at most {}", high), fmt::format("set it to {} or less", high),
                 [high](const Leaf& value) { return value <= high; });
  }
  Field& between(Leaf low, Leaf high) requires kNumbers {
    return limit(fmt::format("between {} and {}", low, high), "choose a value in this range, ends included",
                 [low, high](const Leaf& value) { return value >= low && value <= high; });
  }
  Field& one_of(std::vector<Leaf> choices) requires(kNumbers || std::is_same_v<Leaf, std::string>) {
    std::string text = fmt::format("one of {}", fmt::join(choices, ", "));
    return limit(std::move(text), "choose one of them", [choices = std::move(choices)](const Leaf& value) {
      return std::find(choices.begin(), choices.end(), value) != choices.end();
    });
  }
  Field& non_empty() requires config_detail::HasContents<T> {
    description_.limits.push_back("not empty");
    add_rule(rules_, [&member = member_](const ConfigPlace& place) {
      if (!place.has_problem() && config_detail::is_set_but_empty(member))
        place.refuse("not empty", "nothing in it", "give at least one");
    });
    return *this;
  }
  Field& allow_non_finite() requires std::is_same_v<Leaf, double> {
    rules_.erase(rules_.begin());
    return *this;
  }

 private:
  template <class Holds>
  FieldRule rule(std::string required, std::string remedy, Holds holds) const {
    return [&member = member_, required, remedy, holds](const ConfigPlace& place) {
      config_detail::visit_leaves(member, place, [&](const Leaf& value, const ConfigPlace& at) {
        if (!at.has_problem() && !holds(value)) at.refuse(required, value_shown(value), remedy);
      });
    };
  }
  template <class Holds>
  Field& limit(std::string required, std::string remedy, Holds holds) {
    description_.limits.push_back(required);
    add_rule(rules_, rule(std::move(required), std::move(remedy), std::move(holds)));
    return *this;
  }

  FieldDescription& description_;
  std::vector<FieldRule>& rules_;
  const T& member_;
};

}  // namespace trireme
