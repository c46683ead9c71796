#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "core/io/file.h"

namespace trireme::test {

/// A copy of the golden checkpoint whose tokenizer has Yes and No as tokens: two added tokens that prompts do not use
/// are renamed. Its answers mean nothing, but they are answers.
inline std::filesystem::path write_toy_reranker(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  fs::copy(fs::path(TRIREME_TEST_DIR) / "golden/embed/model", folder, fs::copy_options::recursive);
  std::string tokenizer = read_text_file(folder / "tokenizer.json");
  for (const auto& [from, to] :
       {std::pair{"\"<|vision_pad|>\"", "\"Yes\""}, std::pair{"\"<|endoftext|>\"", "\"No\""}}) {
    const std::size_t at = tokenizer.find(from);
    if (at == std::string::npos) throw std::runtime_error(std::string("no token ") + from);
    tokenizer.replace(at, std::string_view(from).size(), to);
  }
  std::ofstream(folder / "tokenizer.json", std::ios::binary) << tokenizer;
  return folder;
}

}  // namespace trireme::test
