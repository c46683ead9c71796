#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// A Hugging Face tokenizer.json: the ids and texts that the `tokenizers` package makes of it (0.23; Unicode included).
/// Immutable after loading and safe to use from several threads at once.
/// The file's post_processor, truncation and padding are not applied: no token is ever added around a text, and none is
/// cut off, as with add_special_tokens=False.
class Tokenizer {
 public:
  /// throws DataError: missing or broken file; a component (normalizer, pre_tokenizer, model, decoder, post_processor)
  /// of a type that is not built in, which it names, with the list of those that are; a vocabulary, merges or added
  /// tokens that contradict themselves.
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json);
  /// The same for a text in memory. name: what messages call it.
  static Tokenizer from_json(std::string_view json, std::string_view name = "tokenizer.json");
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of `text`; added and special tokens inside it are recognised.
  /// throws DataError: text is not valid UTF-8 (lone surrogates), or above 256 MiB; a pattern of the file that
  /// needs more than its share of time for it.
  std::vector<int64_t> encode(std::string_view text) const;
  /// The text of `ids`; bytes that are not UTF-8 become U+FFFD, and ids without a token nothing.
  /// throws DataError: a negative id.
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens = false) const;
  std::optional<int64_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(int64_t id) const;
  int64_t vocab_size()
      const noexcept;  ///< how many tokens, added ones included; ids may be larger where they leave gaps

 private:
  struct Engine;
  explicit Tokenizer(std::unique_ptr<const Engine> engine);
  std::unique_ptr<const Engine> engine_;
};

}  // namespace trireme
