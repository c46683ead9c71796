#include "launch/options.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/config/nearest.h"
#include "launch/options_help.h"

namespace trireme {
namespace {

using namespace std::string_view_literals;

bool is_option_like(std::string_view argument) { return argument.size() > 1 && argument[0] == '-'; }
bool asks_for_help(std::string_view argument) { return argument == "--help" || argument == "-h"; }

std::string in_capitals(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    if (c == '_') return '-';
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return text;
}

std::string option_name(std::string path) {
  std::replace(path.begin(), path.end(), '_', '-');
  return "--" + path;
}

std::string positional_name(const FieldDescription& field) {
  return field.placeholder.empty() ? in_capitals(field.name) : field.placeholder;
}

void add_fields(const std::vector<FieldDescription>& descriptions, const std::string& prefix,
                std::vector<VerbField>& fields) {
  for (const FieldDescription& field : descriptions) {
    const std::string path = prefix + field.name;
    if (field.kind == FieldKind::kSection) {
      add_fields(field.children, path + ".", fields);
    } else {
      fields.push_back({path, field.positional ? positional_name(field) : option_name(path), field});
    }
  }
}

/// Puts a value where its path says, making the maps above it.
void put(YamlNode& root, std::string_view path, YamlNode value) {
  YamlNode* node = &root;
  while (true) {
    const std::size_t dot = path.find('.');
    const std::string key(path.substr(0, dot));
    if (dot == std::string_view::npos) {
      node->entries.emplace_back(key, std::move(value));
      return;
    }
    if (node->find(key) == nullptr) node->entries.emplace_back(key, YamlNode::map());
    node = node->find(key);
    path.remove_prefix(dot + 1);
  }
}

/// The options of one verb, and what a command line gives for them.
class VerbOptions {
 public:
  explicit VerbOptions(const Verb& verb) : verb_(&verb) {
    for (const auto& list : verb.options) {
      add_fields(list->descriptions(), "", fields_);
      end_of_list_.push_back(fields_.size());
    }
    std::set<std::string> names;
    for (const VerbField& field : fields_)
      TRIREME_ASSERT(names.insert(field.option).second, "{} {} is described twice", verb.name, field.option);
    for (const VerbField& field : fields_) {
      if (field.description.positional) continue;
      const bool flag = field.description.kind == FieldKind::kFlag;
      known_[field.option].flag = flag;
      if (flag) known_[negated(field.option)].flag = true;
    }
  }

  std::string help(const std::string& program) const {
    return verb_help(program + " " + verb_->name, verb_->purpose, fields_) +
           (verb_->config_keys.empty() ? "" : "\n" + verb_->config_keys);
  }

  /// Sorts the arguments into options with their values and what is left over. false: help is asked for.
  bool sort(std::span<const char* const> arguments) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      const std::string argument = arguments[i];
      const std::size_t equals = argument.find('=');
      const std::string name = argument.substr(0, equals);
      if (asks_for_help(name)) return false;
      const auto known = known_.find(name);
      if (known == known_.end()) {
        leftovers_.push_back(argument);
      } else if (equals != std::string::npos) {
        known->second.values.push_back(argument.substr(equals + 1));
      } else if (known->second.flag) {
        known->second.values.emplace_back("true");
      } else if (i + 1 < arguments.size()) {
        known->second.values.emplace_back(arguments[++i]);
      } else {
        ConfigReport report(verb_->name);
        report.add(kNoLine, "",
                   fmt::format("{0} must be followed by its value; got nothing; write {0} VALUE", shown(name)));
        report.throw_if_any();
      }
    }
    return true;
  }

  /// Fills the verb's structs with what sort() found.
  void take() const {
    ConfigReport report(verb_->name);
    for (const VerbField& field : fields_) report.set_name(field.path, field.option);
    YamlNode root = YamlNode::map();
    for (const VerbField& field : fields_) {
      if (field.description.positional) continue;
      if (field.description.kind == FieldKind::kFlag) {
        take_flag(field, root, report);
      } else {
        take_value(field, root, report);
      }
    }
    take_leftovers(root, report);
    const ConfigPlace top{"", report};
    for (std::size_t i = 0; i < verb_->options.size(); ++i) {
      verb_->options[i]->read(share_of(i, root), top);
      verb_->options[i]->check(top);
    }
    report.throw_if_any();
  }

 private:
  struct Given {
    bool flag = false;
    std::vector<std::string> values;  ///< in their order; of a flag "true", unless a value was attached
  };

  /// The entries of `root` that belong to list i.
  YamlNode share_of(std::size_t i, const YamlNode& root) const {
    YamlNode share = YamlNode::map();
    for (std::size_t f = i == 0 ? 0 : end_of_list_[i - 1]; f < end_of_list_[i]; ++f) {
      const std::string key = fields_[f].path.substr(0, fields_[f].path.find('.'));
      const YamlNode* value = root.find(key);
      if (value != nullptr && share.find(key) == nullptr) share.entries.emplace_back(key, *value);
    }
    return share;
  }

  void take_flag(const VerbField& field, YamlNode& root, ConfigReport& report) const {
    const std::vector<std::string>& yes = known_.at(field.option).values;
    const std::vector<std::string>& no = known_.at(negated(field.option)).values;
    if (yes.size() + no.size() == 0) return;
    const std::string& result = yes.empty() ? no[0] : yes[0];
    if (yes.size() + no.size() > 1) {
      report.refuse(field.path, "given once",
                    fmt::format("{} of it and {} of {}", yes.size(), no.size(), negated(field.option)), "keep one");
    } else if (result != "true") {
      report.refuse(field.path, "without a value", result.empty() ? "\"\"" : shown(result),
                    fmt::format("write {} or {}", field.option, negated(field.option)));
    } else {
      put(root, field.path, YamlNode::plain(yes.empty() ? "false" : "true"));
    }
  }

  void take_value(const VerbField& field, YamlNode& root, ConfigReport& report) const {
    const std::vector<std::string>& values = known_.at(field.option).values;
    if (values.empty()) return;
    if (values.size() > 1) {
      report.refuse(field.path, "given once", fmt::format("it {} times", values.size()), "keep one");
    } else if (known_.contains(values[0])) {
      report.refuse(field.path, "followed by its value", values[0],
                    fmt::format("write {} {}", field.option, value_placeholder(field.description)));
    } else {
      std::optional<YamlNode> value = value_of(field, values[0], report);
      if (value) put(root, field.path, *std::move(value));
    }
  }

  static std::optional<YamlNode> value_of(const VerbField& field, const std::string& text, ConfigReport& report) {
    if (field.description.kind == FieldKind::kMap || (field.description.kind == FieldKind::kList && text[0] == '['))
      return parse_override_value(text, field.path, report);
    if (field.description.kind != FieldKind::kList) return YamlNode::plain(text);
    YamlNode list = YamlNode::list();
    for (std::string_view rest = text;;) {
      const std::size_t comma = rest.find(',');
      list.items.push_back(YamlNode::plain(std::string(rest.substr(0, comma))));
      if (list.items.back().text.empty())
        report.refuse(field.path, "a list a,b,c", "\"" + shown(text) + "\"",
                      "write something at both sides of a comma");
      if (comma == std::string_view::npos) return list;
      rest.remove_prefix(comma + 1);
    }
  }

  /// Unknown options and positional arguments. Behind an unknown option or one that lacked its value nobody knows which
  /// argument is whose, so what is too much then is not told.
  void take_leftovers(YamlNode& root, ConfigReport& report) const {
    bool out_of_step = report.any();
    std::vector<std::string> arguments;
    for (const std::string& argument : leftovers_) {
      if (is_option_like(argument)) {
        out_of_step = true;
        refuse_unknown(argument, report);
      } else {
        arguments.push_back(argument);
      }
    }
    std::size_t taken = 0;
    for (const VerbField& field : fields_) {
      if (!field.description.positional || taken == arguments.size()) continue;
      if (field.description.kind != FieldKind::kList) {
        put(root, field.path, YamlNode::plain(arguments[taken++]));
        continue;
      }
      YamlNode rest = YamlNode::list();
      while (taken < arguments.size()) rest.items.push_back(YamlNode::plain(arguments[taken++]));
      put(root, field.path, std::move(rest));
    }
    if (out_of_step) return;
    for (; taken < arguments.size(); ++taken)
      report.add(kNoLine, "",
                 fmt::format("every argument must have its place; got \"{}\", one too many; remove it",
                             shown(arguments[taken])));
  }

  void refuse_unknown(const std::string& argument, ConfigReport& report) const {
    const std::string name = argument.substr(0, argument.find('='));
    std::vector<std::string> names;
    for (const auto& [known, option] : known_) names.push_back(known);
    const std::optional<std::string> near = nearest(name, names);
    // The problem is with the option that was meant: it is not missing as well.
    const auto meant = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const VerbField& field) { return near && field.option == *near; });
    report.add(kNoLine, meant == fields_.end() ? "" : meant->path,
               fmt::format("unknown option {}; {}", shown(name),
                           near ? fmt::format("did you mean {}?", *near) : "remove it; --help lists what there is"));
  }

  static std::string negated(const std::string& option) { return "--no-" + option.substr(2); }

  const Verb* verb_;
  std::vector<std::size_t> end_of_list_;  ///< in fields_, of each struct of options
  std::vector<VerbField> fields_;
  std::map<std::string, Given> known_;
  std::vector<std::string> leftovers_;  ///< unknown options, and what is given by its place
};

std::string help_of(const Program& program) {
  std::vector<std::pair<std::string, std::string>> verbs;
  for (const Verb& verb : program.verbs) verbs.emplace_back(verb.name, verb.purpose);
  return program_help(program.name, program.purpose, verbs);
}

std::string unknown_verb(std::string_view name, const std::vector<std::string>& verbs) {
  const std::optional<std::string> near = nearest(name, verbs);
  return fmt::format("the verb must be one of {}; got {}; {}", fmt::join(verbs, ", "), shown(name),
                     near ? fmt::format("did you mean {}?", *near) : "choose one of them");
}

}  // namespace

CommandLine parse_command_line(const Program& program, std::span<const char* const> arguments) {
  const auto place = std::find_if_not(arguments.begin(), arguments.end(), is_option_like);
  const auto options = arguments.first(static_cast<std::size_t>(place - arguments.begin()));
  const auto verb = std::find_if(program.verbs.begin(), program.verbs.end(), [&](const Verb& candidate) {
    return place != arguments.end() && candidate.name == *place;
  });
  const bool known = verb != program.verbs.end();
  // Of a verb that nobody knows, nobody knows the options either: what it is followed by may ask the program.
  const auto questions = known ? options : arguments;
  if (!program.version.empty() && std::find(questions.begin(), questions.end(), "--version"sv) != questions.end())
    return {"", program.version + "\n"};
  const bool help = std::any_of(questions.begin(), questions.end(), asks_for_help);
  if (help && !known) return {"", help_of(program)};

  ConfigReport report(program.name);
  for (const char* option : options)
    report.add(kNoLine, "",
               fmt::format("options must follow the verb; got {}; remove it, or put it behind", shown(option)));
  std::vector<std::string> names;
  for (const Verb& candidate : program.verbs) names.push_back(candidate.name);
  if (known) {
    VerbOptions own(*verb);
    const auto end = std::find(place, arguments.end(), "--"sv);
    if (help || !own.sort({place + 1, end})) return {"", own.help(program.name)};
    own.take();
    for (auto behind = end; behind != arguments.end() && ++behind != arguments.end();)
      report.add(kNoLine, "",
                 fmt::format("arguments must be given without --; got \"{}\" behind it; leave -- out", shown(*behind)));
  } else if (place != arguments.end()) {
    report.add(kNoLine, "", unknown_verb(*place, names));
  } else {
    report.add(kNoLine, "", fmt::format("a verb must be given; got none; choose one of {}", fmt::join(names, ", ")));
  }
  report.throw_if_any();
  return {verb->name, ""};
}

}  // namespace trireme
