#include "data/tokenizer/tokenizer.h"

#include <limits>

#include "core/error.h"
#include "core/io/json_text.h"
#include "core/io/quote.h"
#include "core/io/text.h"
#include "core/utf8.h"
#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/component.h"
#include "data/tokenizer/decoder.h"
#include "data/tokenizer/model.h"
#include "data/tokenizer/normalizer.h"
#include "data/tokenizer/pre_tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace trireme {
namespace {

constexpr std::size_t kMaxFileBytes = 1ull << 30, kMaxNesting = 64;
/// Words are counted in 32 bits, and no step makes a text more than eleven times longer.
constexpr std::size_t kMaxTextBytes = 1ull << 28;

/// What a post-processor does is add tokens around a text, or move offsets. Neither happens here; an unknown one might
/// do more, and is refused.
void check_post_processor(const Component& component) {
  static constexpr std::array<std::string_view, 5> kHarmless{"ByteLevel", "TemplateProcessing", "BertProcessing",
                                                             "RobertaProcessing", "Sequence"};
  const std::string_view type = component.string("type");
  TRIREME_CHECK(std::find(kHarmless.begin(), kHarmless.end(), type) != kHarmless.end(), DataError, "tokenizer",
                "{} must be one of the types built in: {}; got {}; convert the tokenizer, or ask for the type.",
                component.where("type"), fmt::join(kHarmless, ", "), quote_text(type));
  if (type == "Sequence")
    for (const Component& step : component.objects("processors")) check_post_processor(step);
}

void check_root(const Component& root) {
  static constexpr std::array<std::string_view, 9> kSections{"version",        "truncation", "padding",
                                                             "added_tokens",   "normalizer", "pre_tokenizer",
                                                             "post_processor", "decoder",    "model"};
  for (const std::string_view key : root.keys())
    TRIREME_CHECK(std::find(kSections.begin(), kSections.end(), key) != kSections.end(), DataError, "tokenizer",
                  "{} must have no sections but {}; got {}; repair the file.", root.where(), fmt::join(kSections, ", "),
                  quote_text(key));
  if (root.optional_string("version").value_or("1.0") != "1.0") root.refuse("version", "\"1.0\"");
  if (const auto post_processor = root.optional_object("post_processor")) check_post_processor(*post_processor);
}

template <class Kind>
std::unique_ptr<const Kind> make_section(const Component& root, std::string_view key,
                                         std::unique_ptr<const Kind> (*make)(const Component&)) {
  const auto section = root.optional_object(key);
  return section ? make(*section) : nullptr;
}

}  // namespace

struct Tokenizer::Engine {
  explicit Engine(const Component& root)
      : normalizer(make_section<Normalizer>(root, "normalizer", make_normalizer)),
        pre_tokenizer(make_section<PreTokenizer>(root, "pre_tokenizer", make_pre_tokenizer)),
        model(make_tokenizer_model(root.object("model"))),
        decoder(make_section<Decoder>(root, "decoder", make_decoder)),
        added_tokens(root.member("added_tokens") ? root.objects("added_tokens") : std::vector<Component>{},
                     model->vocabulary(), normalizer.get()) {}

  std::vector<int64_t> encode_words(std::string_view text) const {
    Words words{std::string(text), {{0, static_cast<uint32_t>(text.size())}}};
    if (pre_tokenizer) words = pre_tokenizer->split(std::move(words));
    return model->encode(words);
  }

  std::optional<std::string_view> token(int64_t id) const {
    const auto added = added_tokens.token(id);
    return added ? added : model->vocabulary().token(id);
  }

  std::unique_ptr<const Normalizer> normalizer;       ///< may be null
  std::unique_ptr<const PreTokenizer> pre_tokenizer;  ///< may be null
  std::unique_ptr<const TokenizerModel> model;
  std::unique_ptr<const Decoder> decoder;  ///< may be null
  AddedTokens added_tokens;
};

Tokenizer::Tokenizer(std::unique_ptr<const Engine> engine) : engine_(std::move(engine)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

Tokenizer Tokenizer::from_file(const std::filesystem::path& tokenizer_json) {
  return from_json(read_utf8_file(tokenizer_json, kMaxFileBytes), tokenizer_json.string());
}

Tokenizer Tokenizer::from_json(std::string_view json, std::string_view name) {
  simdjson::dom::parser parser;
  simdjson::dom::element document;
  const simdjson::padded_string padded(json);
  auto error = parser.allocate(padded.size(), kMaxNesting);
  if (!error) error = parser.parse(padded).get(document);
  TRIREME_CHECK(!error, DataError, "tokenizer", "{} must be JSON of at most {} levels; got {}; fetch the file again.",
                name, kMaxNesting, json_fault(json, simdjson::error_message(error)).what);
  TRIREME_CHECK(document.is_object(), DataError, "tokenizer",
                "{} must hold one JSON object; got {}; fetch the file again.", name,
                shown_json(simdjson::minify(document)));
  const Component root(document, std::string(name), "");
  check_root(root);
  return Tokenizer(std::make_unique<const Engine>(root));
}

std::vector<int64_t> Tokenizer::encode(std::string_view text) const {
  TRIREME_CHECK(text.size() <= kMaxTextBytes, DataError, "tokenizer",
                "a text must have at most {} bytes; got {}; cut it.", kMaxTextBytes, text.size());
  TRIREME_CHECK(is_valid_utf8(text), DataError, "tokenizer",
                "text must be valid UTF-8; got {} at byte {}; repair the text.",
                quote_text(text.substr(utf8::valid_prefix(text), 8)), utf8::valid_prefix(text));
  std::vector<int64_t> ids;
  for (const TextPart& raw : engine_->added_tokens.cut_raw(text)) {
    if (raw.token) {
      ids.push_back(*raw.token);
      continue;
    }
    const std::string normalized =
        engine_->normalizer ? engine_->normalizer->normalize(std::string(raw.text)) : std::string(raw.text);
    for (const TextPart& part : engine_->added_tokens.cut_normalized(normalized)) {
      if (part.token) {
        ids.push_back(*part.token);
      } else {
        const std::vector<int64_t> more = engine_->encode_words(part.text);
        ids.insert(ids.end(), more.begin(), more.end());
      }
    }
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  for (const int64_t id : ids) {
    TRIREME_CHECK(id >= 0, DataError, "tokenizer", "an id must be at least 0; got {}; drop the padding first.", id);
    const auto token = engine_->token(id);
    if (token && !(skip_special_tokens && engine_->added_tokens.is_special(*token))) tokens.emplace_back(*token);
  }
  if (!engine_->decoder) return fmt::format("{}", fmt::join(tokens, " "));
  return fmt::format("{}", fmt::join(engine_->decoder->decode(std::move(tokens)), ""));
}

std::optional<int64_t> Tokenizer::token_to_id(std::string_view token) const {
  const auto added = engine_->added_tokens.id(token);
  const auto id = added ? added : engine_->model->vocabulary().id(token);
  return id ? std::optional<int64_t>(*id) : std::nullopt;
}

std::optional<std::string> Tokenizer::id_to_token(int64_t id) const {
  const auto token = engine_->token(id);
  return token ? std::optional<std::string>(*token) : std::nullopt;
}

int64_t Tokenizer::vocab_size() const noexcept {
  return engine_->model->vocabulary().size() + engine_->added_tokens.outside_vocabulary();
}

}  // namespace trireme
