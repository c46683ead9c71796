#include "launch/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
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

bool is_option_like(std::string_view argument) { return argument.size() > 1 && argument[0] == '-'; }

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

/// The options of one verb: CLI11 splits the arguments, and gets no types, as its own conversions are not as strict as
/// those of configs. Positional arguments are what CLI11 leaves over.
class VerbOptions {
 public:
  VerbOptions(CLI::App& verb, std::vector<std::shared_ptr<FieldList>> lists) : verb_(&verb), lists_(std::move(lists)) {
    for (const auto& list : lists_) {
      add_fields(list->descriptions(), "", fields_);
      end_of_list_.push_back(fields_.size());
    }
    std::set<std::string> options;
    for (const VerbField& field : fields_)
      TRIREME_ASSERT(options.insert(field.option).second, "{} {} is described twice", verb.get_name(), field.option);
    for (const VerbField& field : fields_)
      if (!field.description.positional) add(field);
  }

  /// The verb's footer, where it has one, tells the keys of the file that it reads.
  std::string help(const std::string& command) const {
    const std::string keys = verb_->get_footer();
    return verb_help(command, verb_->get_description(), fields_) + (keys.empty() ? "" : "\n" + keys);
  }

  /// Called when CLI11 has gone through the arguments.
  void take() const {
    ConfigReport report(verb_->get_name());
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
    for (std::size_t i = 0; i < lists_.size(); ++i) {
      lists_[i]->read(share_of(i, root), top);
      lists_[i]->check(top);
    }
    report.throw_if_any();
  }

 private:
  void add(const VerbField& field) {
    if (field.description.kind == FieldKind::kFlag) {
      for (const std::string& name : {field.option, negated(field.option)})
        known_[name] = verb_->add_flag(name)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    } else {
      known_[field.option] = verb_->add_option(field.option)
                                 ->expected(1)
                                 ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
                                 ->type_name(value_placeholder(field.description));
    }
  }

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
    const std::vector<std::string> yes = known_.at(field.option)->results();
    const std::vector<std::string> no = known_.at(negated(field.option))->results();
    if (yes.size() + no.size() == 0) return;
    const std::string& result = yes.empty() ? no[0] : yes[0];
    if (yes.size() + no.size() > 1) {
      report.refuse(field.path, "given once",
                    fmt::format("{} of it and {} of {}", yes.size(), no.size(), negated(field.option)), "keep one");
    } else if (result != "true") {
      report.refuse(field.path, "without a value", shown(result),
                    fmt::format("write {} or {}", field.option, negated(field.option)));
    } else {
      put(root, field.path, YamlNode::plain(yes.empty() ? "false" : "true"));
    }
  }

  void take_value(const VerbField& field, YamlNode& root, ConfigReport& report) const {
    const std::vector<std::string> results = known_.at(field.option)->results();
    if (results.empty()) return;
    if (results.size() > 1) {
      report.refuse(field.path, "given once", fmt::format("it {} times", results.size()), "keep one");
    } else if (known_.contains(results[0])) {
      report.refuse(field.path, "followed by its value", results[0],
                    fmt::format("write {} {}", field.option, value_placeholder(field.description)));
    } else {
      std::optional<YamlNode> value = value_of(field, results[0], report);
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
    for (const std::string& argument : verb_->remaining()) {
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

  CLI::App* verb_;
  std::vector<std::shared_ptr<FieldList>> lists_;
  std::vector<std::size_t> end_of_list_;  ///< in fields_, of each list
  std::vector<VerbField> fields_;
  std::map<std::string, CLI::Option*> known_;
};

class VerbFormatter : public CLI::Formatter {
 public:
  explicit VerbFormatter(std::shared_ptr<const VerbOptions> options) : options_(std::move(options)) {}
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    const std::string program = app->get_parent() == nullptr ? "" : app->get_parent()->get_name() + " ";
    return options_->help(program + app->get_name());
  }

 private:
  std::shared_ptr<const VerbOptions> options_;
};

std::vector<const CLI::App*> verbs_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

std::string help_of(const CLI::App& program) {
  if (const auto chosen = program.get_subcommands(); !chosen.empty()) return chosen[0]->help();
  std::vector<std::pair<std::string, std::string>> verbs;
  for (const CLI::App* verb : verbs_of(program)) verbs.emplace_back(verb->get_name(), verb->get_description());
  return program_help(program.get_name(), program.get_description(), verbs);
}

/// CLI11 takes `--out=` for --out without a value and goes on to the next argument; here it is an empty value.
/// In reverse, which is how CLI11 wants them.
std::vector<std::string> reversed_arguments(std::span<const char* const> arguments) {
  std::vector<std::string> result;
  for (const std::string argument : arguments) {
    const bool empty_value = argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    result.push_back(empty_value ? argument.substr(0, argument.size() - 1) : argument);
    if (empty_value) result.emplace_back();
  }
  std::reverse(result.begin(), result.end());
  return result;
}

/// What the program itself could not make sense of: its verb, and options before it.
void refuse_leftovers(const CLI::App& program) {
  ConfigReport report(program.get_name());
  std::vector<std::string> names;
  for (const CLI::App* verb : verbs_of(program)) names.push_back(verb->get_name());
  bool verb_found = !program.get_subcommands().empty();
  for (const std::string& argument : program.remaining()) {
    if (is_option_like(argument)) {
      report.add(kNoLine, "",
                 fmt::format("options must follow the verb; got {}; remove it, or put it behind", shown(argument)));
    } else if (!verb_found) {
      verb_found = true;
      const std::optional<std::string> near = nearest(argument, names);
      report.add(kNoLine, "",
                 fmt::format("the verb must be one of {}; got {}; {}", fmt::join(names, ", "), shown(argument),
                             near ? fmt::format("did you mean {}?", *near) : "choose one of them"));
      break;  // whatever follows belongs to the verb that was meant
    } else {
      report.add(
          kNoLine, "",
          fmt::format("arguments must be given without --; got \"{}\" behind it; leave -- out", shown(argument)));
    }
  }
  if (!verb_found)
    report.add(kNoLine, "", fmt::format("a verb must be given; got none; choose one of {}", fmt::join(names, ", ")));
  report.throw_if_any();
}

}  // namespace

void bind_fields(CLI::App& verb, std::vector<std::shared_ptr<FieldList>> fields) {
  const auto options = std::make_shared<VerbOptions>(verb, std::move(fields));
  verb.allow_extras();
  verb.formatter(std::make_shared<VerbFormatter>(options));
  verb.parse_complete_callback([options] { options->take(); });
}

CommandLine parse_command_line(CLI::App& program, std::span<const char* const> arguments) {
  program.allow_extras();
  program.require_subcommand(0, 1);
  std::vector<std::string> reversed = reversed_arguments(arguments);
  const std::string last = reversed.empty() ? "" : reversed.front();
  try {
    program.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return {"", help_of(program)};
  } catch (const CLI::CallForVersion& version) {
    return {"", fmt::format("{}\n", version.what())};
  } catch (const CLI::ArgumentMismatch&) {
    const auto chosen = program.get_subcommands();
    ConfigReport report(chosen.empty() ? program.get_name() : chosen[0]->get_name());
    report.add(kNoLine, "",
               fmt::format("{0} must be followed by its value; got nothing; write {0} VALUE", shown(last)));
    report.throw_if_any();
  }
  refuse_leftovers(program);
  return {program.get_subcommands()[0]->get_name(), ""};
}

}  // namespace trireme
