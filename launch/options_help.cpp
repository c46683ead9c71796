#include "launch/options_help.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "core/config/help.h"

namespace trireme {
namespace {

constexpr int64_t kOptionColumn = 30;
constexpr int64_t kVerbColumn = 12;
constexpr std::size_t kLongestChoicePlaceholder = 30;

bool is_choice(const FieldDescription& field) { return field.type.find(" | ") != std::string::npos; }

std::string without_blanks(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

/// "--model DIR", "--exact, --no-exact", "CONFIG", "OVERRIDES ..".
std::string usage_of(const VerbField& field) {
  if (field.description.positional) return field.option + (field.description.kind == FieldKind::kList ? " .." : "");
  if (field.description.kind == FieldKind::kFlag)
    return fmt::format("{}, --no-{}", field.option, field.option.substr(2));
  return fmt::format("{} {}", field.option, value_placeholder(field.description));
}

/// Choices that stand beside the option already are not told again.
std::string facts_of(const FieldDescription& field) {
  FieldDescription told = field;
  const bool told_by_placeholder = is_choice(field) && without_blanks(field.type) == value_placeholder(field);
  if (!told_by_placeholder) return field_facts(told);
  told.type = "choice";
  return field_facts(told);
}

std::string group(const std::string& title, const std::vector<VerbField>& fields,
                  const std::function<bool(const FieldDescription&)>& belongs) {
  std::string text;
  for (const VerbField& field : fields)
    if (belongs(field.description))
      text += help_lines(fmt::format("  {}", usage_of(field)),
                         field.description.help + " " + facts_of(field.description), kOptionColumn);
  return text.empty() ? text : fmt::format("\n{}:\n{}", title, text);
}

}  // namespace

std::string value_placeholder(const FieldDescription& field) {
  if (!field.placeholder.empty()) return field.placeholder;
  if (field.kind == FieldKind::kMap) return "\"{KEY: VALUE}\"";
  if (field.kind == FieldKind::kList) return "A,B,..";
  if (is_choice(field)) {
    const std::string choices = without_blanks(field.type);
    return choices.size() <= kLongestChoicePlaceholder ? choices : "CHOICE";
  }
  if (field.type == "integer") return "N";
  if (field.type == "number") return "X";
  return field.type == "path" ? "PATH" : "TEXT";
}

std::string verb_help(const std::string& command, const std::string& purpose, const std::vector<VerbField>& fields) {
  std::string usage;
  for (const VerbField& field : fields)
    if (field.description.required && !field.description.positional) usage += fmt::format("{} ", usage_of(field));
  usage += "[OPTIONS]";
  for (const VerbField& field : fields) {
    if (!field.description.positional) continue;
    usage += fmt::format(fmt::runtime(field.description.required ? " {}" : " [{}]"), usage_of(field));
  }
  const std::string begin = "Usage: " + command;
  std::string text = help_lines(begin, usage, static_cast<int64_t>(begin.size()) + 1);
  text += fmt::format("\n{}", help_lines("", purpose, 0));
  text += group("Arguments", fields, [](const FieldDescription& field) { return field.positional; });
  text += group("Required", fields, [](const FieldDescription& field) { return field.required && !field.positional; });
  const std::string options =
      group("Options", fields, [](const FieldDescription& field) { return !field.required && !field.positional; });
  text += options.empty() ? "\nOptions:\n" : options;
  return text + help_lines("  -h, --help", "Print this and exit.", kOptionColumn);
}

std::string program_help(const std::string& name, const std::string& purpose,
                         const std::vector<std::pair<std::string, std::string>>& verbs) {
  std::string text = fmt::format("Usage: {} VERB [OPTIONS]\n\n", name) + help_lines("", purpose, 0) + "\nVerbs:\n";
  for (const auto& [verb, does] : verbs) text += help_lines(fmt::format("  {}", verb), does, kVerbColumn);
  return text + fmt::format("\n{} VERB --help tells the options of one.\n", name);
}

}  // namespace trireme
