#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "core/config/yaml_node.h"
#include "core/io/text.h"
#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::size_t kMostLevels = 32;
constexpr int64_t kMostValues = 20'000;
constexpr std::size_t kLongestKeyBytes = 200;

/// Ends the parse: what follows could not be understood. Caught in read_document().
struct Refusal {
  int64_t line;
  std::string text;
};

int64_t line_of(const YAML::Mark& mark) { return mark.is_null() ? kNoLine : mark.line + 1; }

/// Builds the tree out of yaml-cpp's events rather than of its nodes: those guess types late, keep the second of two
/// equal keys, share aliases without limit, and forget the lines of keys.
class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(ConfigReport& report) : report_(report) {}

  YamlNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      throw Refusal{line_of(mark), "a config must be one YAML document; got a second one; remove it"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    YamlNode node;
    node.line = line_of(mark);
    place(std::move(node), anchor);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = tag == "?" ? YamlNode::plain(value) : YamlNode::string(value);
    node.line = line_of(mark);
    refuse_tag(tag, node.line);
    place(std::move(node), anchor);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end())
      throw Refusal{line_of(mark),
                    "an alias must stand after the value of its anchor; got one inside of it; remove it"};
    YamlNode copy = found->second;
    count_values(copy, line_of(mark));
    place(std::move(copy), 0);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(YamlNode::list(), mark, tag, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(YamlNode::map(), mark, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  /// A list or map that is not complete yet.
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor = 0;
    std::optional<YamlNode> key;  ///< read, its value not yet
    std::map<std::string, int64_t> key_lines;
  };

  static void refuse_tag(const std::string& tag, int64_t line) {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw Refusal{line,
                  fmt::format("a value must have no tag, its field gives its type; got {}; remove it", shown(tag))};
  }
  void count_value(int64_t line) {
    if (++values_ > kMostValues)
      throw Refusal{line,
                    fmt::format("a config must have at most {} values, aliases expanded; got more; shorten it, or "
                                "keep data in files of its own",
                                kMostValues)};
  }
  void count_values(const YamlNode& node, int64_t line) {
    count_value(line);
    for (const YamlNode& item : node.items) count_values(item, line);
    for (const auto& [key, value] : node.entries) count_values(value, line);
  }
  void open(YamlNode node, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    node.line = line_of(mark);
    refuse_tag(tag, node.line);
    if (open_.size() == kMostLevels)
      throw Refusal{node.line, fmt::format("a config must have at most {} levels; got more; flatten it", kMostLevels)};
    open_.push_back({std::move(node), anchor, std::nullopt, {}});
  }
  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    place(std::move(done.node), done.anchor);
  }
  void place(YamlNode node, YAML::anchor_t anchor) {
    count_value(node.line);
    if (anchor != 0) {
      count_values(node, node.line);  // the copy that is kept for aliases counts too
      anchored_.insert_or_assign(anchor, node);
    }
    if (open_.empty()) {
      root_ = std::move(node);
    } else if (open_.back().node.kind == YamlNode::Kind::kList) {
      open_.back().node.items.push_back(std::move(node));
    } else if (!open_.back().key) {
      open_.back().key = std::move(node);
    } else {
      place_entry(open_.back(), std::move(node));
    }
  }
  void place_entry(Open& map, YamlNode value) {
    const YamlNode key = *std::exchange(map.key, std::nullopt);
    if (value.kind == YamlNode::Kind::kNull) value.line = key.line;  // yaml-cpp's mark of nothing is where it noticed
    if (key.kind != YamlNode::Kind::kScalar || key.text.empty() || key.text.size() > kLongestKeyBytes) {
      report_.add(
          key.line, "",
          fmt::format("a key must be text of 1 to {} bytes; got {}; correct it", kLongestKeyBytes, key.description()));
      return;
    }
    const auto [first, is_first] = map.key_lines.emplace(key.text, key.line);
    if (is_first) {
      map.node.entries.emplace_back(key.text, std::move(value));
    } else {
      report_.add(key.line, path_of_open() + key.text,
                  fmt::format("a key must stand once in its section; got {}{} again, first on line {}; remove one",
                              shown(path_of_open()), shown(key.text), first->second));
    }
  }
  /// "optim." inside of the section optim.
  std::string path_of_open() const {
    std::string path;
    for (const Open& open : open_)
      if (open.key) path += open.key->text + ".";
    return path;
  }

  ConfigReport& report_;
  YamlNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, YamlNode> anchored_;
  int64_t values_ = 0, documents_ = 0;
};

/// Bytes that yaml-cpp would read in some way of its own: it replaces broken UTF-8, takes a leading zero byte for
/// UTF-16 and U+0004 for the end of the file, and its messages about tabs say nothing of tabs.
void refuse_bytes(std::string_view text) {
  if (text.size() > kMostBytes)
    throw Refusal{kNoLine, fmt::format("a config must have at most {} bytes; got {}; keep data in files of its own",
                                       kMostBytes, text.size())};
  if (const auto other = other_than_text(text))
    throw Refusal{kNoLine, fmt::format("a config must be UTF-8 text; got {}; {}", other->what, other->remedy)};
  int64_t line = 0;
  while (!text.empty()) {
    ++line;
    const std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (!is_valid_utf8(row))
      throw Refusal{line, fmt::format("a config must be UTF-8; got \"{}\"; save the file as UTF-8", shown(row))};
    for (const char byte : row) {
      const bool allowed = (static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f) || byte == '\t' || byte == '\r';
      if (!allowed)
        throw Refusal{line, fmt::format("a config must have no control characters; got \"{}\"; remove it, or write it "
                                        "as an escape in double quotes",
                                        shown(std::string_view(&byte, 1)))};
    }
    const std::size_t first = row.find_first_not_of(" \r");
    if (first != std::string_view::npos && row[first] == '\t')
      throw Refusal{line, "lines must be indented by spaces; got a tab; replace it by spaces"};
  }
}

std::optional<YamlNode> read_document(std::string_view text, ConfigReport& report) {
  try {
    refuse_bytes(text);
    // yaml-cpp takes the end of the file for a closing quote; the mark of a document's end it refuses in one.
    std::istringstream stream(fmt::format("{}\n...\n", text));
    YAML::Parser parser(stream);
    TreeBuilder builder(report);
    if (!parser.HandleNextDocument(builder)) return YamlNode{};
    parser.HandleNextDocument(builder);  // refused by OnDocumentStart when there is one
    return builder.take_root();
  } catch (const Refusal& refusal) {
    report.add(refusal.line, "", refusal.text);
  } catch (const YAML::Exception& error) {
    const bool open_quote = error.msg == YAML::ErrorMsg::DOC_IN_SCALAR;
    report.add(line_of(error.mark), "",
               fmt::format("a config must be well-formed YAML; got: {}; correct this line",
                           open_quote ? "the end of the file inside of quotes" : shown(error.msg, 100)));
  }
  return std::nullopt;
}

void set_lines(YamlNode& node, int64_t line) {
  node.line = line;
  for (YamlNode& item : node.items) set_lines(item, line);
  for (auto& [key, value] : node.entries) set_lines(value, line);
}

}  // namespace

YamlNode parse_yaml(std::string_view text, ConfigReport& report) {
  return read_document(text, report).value_or(YamlNode{});
}

std::optional<YamlNode> parse_override_value(std::string_view text, std::string_view path, ConfigReport& report) {
  YamlNode node;
  if (text.empty() || text == "null" || text == "~") {
    node = YamlNode{};
  } else if (std::string_view("[{\"'").find(text[0]) == std::string_view::npos) {
    node = YamlNode::plain(std::string(text));
  } else {
    ConfigReport of_value("");
    std::optional<YamlNode> read = read_document(text, of_value);
    if (!read || of_value.any()) {
      report.add(
          kCommandLine, path,
          fmt::format("{} must be well-formed YAML when it starts with {}; got {}; close every bracket and quote",
                      report.name_of(path), text[0], shown(text)));
      return std::nullopt;
    }
    node = std::move(*read);
  }
  set_lines(node, kCommandLine);
  return node;
}

}  // namespace trireme
