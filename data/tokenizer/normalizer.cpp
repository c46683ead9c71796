#include "data/tokenizer/normalizer.h"

#include <vector>

#include "data/tokenizer/unicode.h"

namespace trireme {
namespace {

template <unicode::NormalForm form>
class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(const Component&) {}
  std::string normalize(std::string text) const override { return unicode::normalize(text, form); }
};

class Lowercase : public Normalizer {
 public:
  explicit Lowercase(const Component&) {}
  std::string normalize(std::string text) const override { return unicode::lower_case(text); }
};

class Strip : public Normalizer {
 public:
  explicit Strip(const Component& component)
      : left_(component.boolean("strip_left")), right_(component.boolean("strip_right")) {}

  std::string normalize(std::string text) const override {
    std::size_t begin = 0, end = text.size();
    while (left_ && begin < end && unicode::is_white_space(utf8::at(text, begin).value))
      begin += utf8::at(text, begin).size;
    while (right_ && end > begin && unicode::is_white_space(utf8::before(text, end).value))
      end -= utf8::before(text, end).size;
    return text.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const Component& component) : prefix_(component.string("prepend")) {}
  std::string normalize(std::string text) const override { return text.empty() ? text : prefix_ + text; }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const Component& component)
      : pattern_(component.pattern("pattern")), content_(component.string("content")) {}

  std::string normalize(std::string text) const override { return pattern_.replace_all(text, content_); }

 private:
  Pattern pattern_;
  std::string content_;
};

class Sequence : public Normalizer {
 public:
  explicit Sequence(const Component& component) {
    for (const Component& step : component.objects("normalizers")) steps_.push_back(make_normalizer(step));
  }
  std::string normalize(std::string text) const override {
    for (const auto& step : steps_) text = step->normalize(std::move(text));
    return text;
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

template <class T>
std::unique_ptr<const Normalizer> make(const Component& component) {
  return std::make_unique<T>(component);
}

constexpr std::array<BuiltIn<Normalizer>, 9> kBuiltIn{{{"NFC", make<UnicodeForm<unicode::NormalForm::kNfc>>},
                                                       {"NFD", make<UnicodeForm<unicode::NormalForm::kNfd>>},
                                                       {"NFKC", make<UnicodeForm<unicode::NormalForm::kNfkc>>},
                                                       {"NFKD", make<UnicodeForm<unicode::NormalForm::kNfkd>>},
                                                       {"Lowercase", make<Lowercase>},
                                                       {"Strip", make<Strip>},
                                                       {"Prepend", make<Prepend>},
                                                       {"Replace", make<Replace>},
                                                       {"Sequence", make<Sequence>}}};

}  // namespace

std::unique_ptr<const Normalizer> make_normalizer(const Component& component) {
  return make_component(component, kBuiltIn);
}

}  // namespace trireme
