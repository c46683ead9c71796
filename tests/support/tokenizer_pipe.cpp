/// Runs texts from stdin through a tokenizer.json, for scripts that compare the results with another implementation.
///
///   tokenizer_pipe encode FILE    in: length, UTF-8 bytes             out: count, ids
///   tokenizer_pipe decode FILE    in: count, ids                      out: length, UTF-8 bytes
///   tokenizer_pipe load           in: length, a tokenizer.json, count of texts, each as above, count of lists of ids,
///                                 each as above
///                                 out: 0 or the error; after 0 the result of each as above
/// Numbers are int32 in the machine's order. In place of a result an error is: -1, length, message.

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "data/tokenizer/tokenizer.h"

namespace trireme {
namespace {

std::optional<int32_t> read_number() {
  int32_t number = 0;
  if (std::fread(&number, sizeof number, 1, stdin) != 1) return std::nullopt;
  return number;
}

template <class T>
std::vector<T> read_array(int32_t size) {
  std::vector<T> values(static_cast<std::size_t>(size));
  if (std::fread(values.data(), sizeof(T), values.size(), stdin) != values.size())
    throw std::runtime_error("stdin ended inside a record");
  return values;
}

std::string read_text(int32_t size) {
  const std::vector<char> bytes = read_array<char>(size);
  return {bytes.begin(), bytes.end()};
}

void write_number(int64_t number) {
  const auto narrow = static_cast<int32_t>(number);
  std::fwrite(&narrow, sizeof narrow, 1, stdout);
}

void write_text(std::string_view text) {
  write_number(static_cast<int64_t>(text.size()));
  std::fwrite(text.data(), 1, text.size(), stdout);
}

/// Runs `action`, and writes the error in place of its result.
template <class Action>
void or_error(Action action) {
  try {
    action();
  } catch (const Error& error) {
    write_number(-1);
    write_text(error.what());
  }
}

void encode_one(const Tokenizer& tokenizer, const std::string& text) {
  or_error([&] {
    const std::vector<int64_t> ids = tokenizer.encode(text);
    write_number(static_cast<int64_t>(ids.size()));
    for (const int64_t id : ids) write_number(id);
  });
}

void decode_one(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  or_error([&] { write_text(tokenizer.decode(std::vector<int64_t>(ids.begin(), ids.end()))); });
}

void load_and_encode() {
  while (const auto size = read_number()) {
    const std::string json = read_text(*size);
    std::vector<std::string> texts(static_cast<std::size_t>(read_number().value()));
    for (std::string& text : texts) text = read_text(read_number().value());
    std::vector<std::vector<int32_t>> id_lists(static_cast<std::size_t>(read_number().value()));
    for (std::vector<int32_t>& ids : id_lists) ids = read_array<int32_t>(read_number().value());
    or_error([&] {
      const Tokenizer tokenizer = Tokenizer::from_json(json);
      write_number(0);
      for (const std::string& text : texts) encode_one(tokenizer, text);
      for (const std::vector<int32_t>& ids : id_lists) decode_one(tokenizer, ids);
    });
    std::fflush(stdout);
  }
}

int run(const std::vector<std::string_view>& arguments) {
  if (arguments.size() == 1 && arguments[0] == "load") {
    load_and_encode();
    return 0;
  }
  if (arguments.size() != 2) {
    fmt::print(stderr, "usage: tokenizer_pipe encode|decode FILE, or tokenizer_pipe load\n");
    return 2;
  }
  const Tokenizer tokenizer = Tokenizer::from_file(arguments[1]);
  while (const auto size = read_number()) {
    if (arguments[0] == "encode") {
      encode_one(tokenizer, read_text(*size));
    } else {
      decode_one(tokenizer, read_array<int32_t>(*size));
    }
  }
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  try {
    return trireme::run({argv + 1, argv + argc});
  } catch (const trireme::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.exit_code();
  }
}
