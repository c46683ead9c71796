#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

/// Text as it may stand in HTML, SVG and attribute values: & < > " ' as entities. Bytes that are not UTF-8, and control
/// characters that neither HTML nor XML allow, become U+FFFD, so that no id or caption can break a page.
std::string escape_html(std::string_view text);

/// A page written element by element: texts and attribute values are escaped, elements are closed by scope, and what
/// comes out is well-formed XML too (tests parse it as such).
///   HtmlWriter html;
///   const auto row = html.open("tr", {{"class", "hit"}});
///   html.leaf("td", {}, record.text);
class HtmlWriter {
 public:
  struct Attribute {
    std::string_view name;
    std::string value;
  };
  using Attributes = std::initializer_list<Attribute>;

  /// Closes its element when it goes.
  class Scope {
   public:
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    friend class HtmlWriter;
    explicit Scope(HtmlWriter& writer) : writer_(writer) {}
    HtmlWriter& writer_;
  };

  [[nodiscard]] Scope open(std::string_view tag, Attributes attributes = {});
  /// An element with nothing but text in it.
  void leaf(std::string_view tag, Attributes attributes, std::string_view text);
  /// <meta/>, <line/>: an element that holds nothing.
  void empty(std::string_view tag, Attributes attributes);
  void text(std::string_view text);
  /// <style> with our own rules, which hold no '<' and no '&'.
  void style(std::string_view css);

  /// What was written so far; every element must be closed.
  const std::string& html() const;

 private:
  void begin(std::string_view tag, Attributes attributes);
  std::string html_;
  std::vector<std::string> open_;
};

}  // namespace trireme
