#include "data/tokenizer/decoder.h"

#include <charconv>
#include <limits>
#include <optional>

#include "core/utf8.h"
#include "data/tokenizer/byte_level.h"

namespace trireme {
namespace {

std::string concatenated(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += part;
  return text;
}

class ByteLevel : public Decoder {
 public:
  explicit ByteLevel(const Component&) {}
  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) bytes += byte_level::decode(token).value_or(token);
    return {utf8::lossy(bytes)};
  }
};

class Fuse : public Decoder {
 public:
  explicit Fuse(const Component&) {}
  std::vector<std::string> decode(std::vector<std::string> tokens) const override { return {concatenated(tokens)}; }
};

/// Runs of tokens <0x00> to <0xFF> become the text of their bytes, or a U+FFFD each.
class ByteFallback : public Decoder {
 public:
  explicit ByteFallback(const Component&) {}

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    std::vector<std::string> parts;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_valid_utf8(bytes)) {
        parts.push_back(bytes);
      } else {
        parts.insert(parts.end(), bytes.size(), "\xEF\xBF\xBD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of(token)) {
        bytes.push_back(*byte);
      } else {
        flush();
        parts.push_back(std::move(token));
      }
    }
    flush();
    return parts;
  }

 private:
  static std::optional<char> byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
    const std::string_view digits = token.substr(3, 2);
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), value, 16);
    if (error != std::errc() || end != digits.end()) return std::nullopt;
    return static_cast<char>(value);
  }
};

/// Takes up to `start` and `stop` times the character off the ends of every token.
class Strip : public Decoder {
 public:
  explicit Strip(const Component& component)
      : content_(component.string("content")),
        start_(component.integer("start", 0, std::numeric_limits<int32_t>::max())),
        stop_(component.integer("stop", 0, std::numeric_limits<int32_t>::max())) {
    if (content_.empty() || utf8::at(content_, 0).size != content_.size()) component.refuse("content", "one character");
  }

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    for (std::string& token : tokens) {
      std::string_view rest = token;
      for (int64_t i = 0; i < start_ && rest.starts_with(content_); ++i) rest.remove_prefix(content_.size());
      for (int64_t i = 0; i < stop_ && rest.ends_with(content_); ++i) rest.remove_suffix(content_.size());
      token = std::string(rest);
    }
    return tokens;
  }

 private:
  std::string content_;
  int64_t start_, stop_;
};

class Replace : public Decoder {
 public:
  explicit Replace(const Component& component)
      : pattern_(component.pattern("pattern")), content_(component.string("content")) {}

  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    for (std::string& token : tokens) token = pattern_.replace_all(token, content_);
    return tokens;
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Sequence : public Decoder {
 public:
  explicit Sequence(const Component& component) {
    for (const Component& step : component.objects("decoders")) steps_.push_back(make_decoder(step));
  }
  std::vector<std::string> decode(std::vector<std::string> tokens) const override {
    for (const auto& step : steps_) tokens = step->decode(std::move(tokens));
    return tokens;
  }

 private:
  std::vector<std::unique_ptr<const Decoder>> steps_;
};

template <class T>
std::unique_ptr<const Decoder> make(const Component& component) {
  return std::make_unique<T>(component);
}

constexpr std::array<BuiltIn<Decoder>, 6> kBuiltIn{{{"ByteLevel", make<ByteLevel>},
                                                    {"ByteFallback", make<ByteFallback>},
                                                    {"Fuse", make<Fuse>},
                                                    {"Strip", make<Strip>},
                                                    {"Replace", make<Replace>},
                                                    {"Sequence", make<Sequence>}}};

}  // namespace

std::unique_ptr<const Decoder> make_decoder(const Component& component) { return make_component(component, kBuiltIn); }

}  // namespace trireme
