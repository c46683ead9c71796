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

/// A Hugging Face tokenizer.json, byte for byte what the `tokenizers` package makes of it. Immutable after loading and
/// safe to use from several threads at once.
/// throws DataError: missing or broken file; a component (normalizer, pre_tokenizer, model, decoder, post_processor) of a
/// type that is not built in, which it names, with the list of those that are.
class Tokenizer {
 public:
  static Tokenizer from_file(const std::filesystem::path& tokenizer_json);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  /// Ids of `text`; added and special tokens inside it are recognised, no token is added around it.
  /// throws DataError: text is not valid UTF-8.
  std::vector<int64_t> encode(std::string_view text) const;
  std::string decode(std::span<const int64_t> ids, bool skip_special_tokens = false) const;
  std::optional<int64_t> token_to_id(std::string_view token) const;
  std::optional<std::string> id_to_token(int64_t id) const;
  int64_t vocab_size() const noexcept;  ///< added tokens included

 private:
  struct Engine;
  explicit Tokenizer(std::unique_ptr<const Engine> engine);
  std::unique_ptr<const Engine> engine_;
};

}  // namespace trireme
