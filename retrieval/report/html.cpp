#include "retrieval/report/html.h"

#include "core/error.h"
#include "core/utf8.h"

namespace trireme {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Bytes of the UTF-8 sequence at the start of `text`; 0 when it starts with none.
std::size_t sequence_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::size_t bytes = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  return bytes <= text.size() && is_valid_utf8(text.substr(0, bytes)) ? bytes : 0;
}

bool is_forbidden(unsigned char byte) {
  return (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const std::size_t bytes = sequence_bytes(text);
    const std::string_view sequence = text.substr(0, std::max<std::size_t>(bytes, 1));
    text.remove_prefix(sequence.size());
    if (bytes == 0 || is_forbidden(static_cast<unsigned char>(sequence[0]))) {
      out += kReplacement;
    } else if (sequence == "&") {
      out += "&amp;";
    } else if (sequence == "<") {
      out += "&lt;";
    } else if (sequence == ">") {
      out += "&gt;";
    } else if (sequence == "\"") {
      out += "&quot;";
    } else if (sequence == "'") {
      out += "&#39;";
    } else {
      out += sequence;
    }
  }
  return out;
}

HtmlWriter::Scope::~Scope() {
  writer_.html_ += fmt::format("</{}>", writer_.open_.back());
  writer_.open_.pop_back();
}

void HtmlWriter::begin(std::string_view tag, Attributes attributes) {
  html_ += fmt::format("<{}", tag);
  for (const Attribute& attribute : attributes)
    html_ += fmt::format(" {}=\"{}\"", attribute.name, escape_html(attribute.value));
}

HtmlWriter::Scope HtmlWriter::open(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  html_ += '>';
  open_.emplace_back(tag);
  return Scope(*this);
}

void HtmlWriter::leaf(std::string_view tag, Attributes attributes, std::string_view content) {
  const Scope scope = open(tag, attributes);
  text(content);
}

void HtmlWriter::empty(std::string_view tag, Attributes attributes) {
  begin(tag, attributes);
  html_ += "/>";
}

void HtmlWriter::text(std::string_view content) { html_ += escape_html(content); }

void HtmlWriter::style(std::string_view css) {
  TRIREME_ASSERT(css.find_first_of("<&") == std::string_view::npos, "a style sheet of {} bytes", css.size());
  const Scope scope = open("style");
  html_ += css;
}

const std::string& HtmlWriter::html() const {
  TRIREME_ASSERT(open_.empty(), "<{}> is open", open_.back());
  return html_;
}

}  // namespace trireme
