#include "core/facts.h"

#include <iterator>

#include <fmt/format.h>

namespace trireme {

Facts::Facts(std::string_view title) : text_(fmt::format("{}\n", title)) {}

void Facts::add(std::string_view name, std::string_view value) { text_ += fmt::format("  {:<15} {}\n", name, value); }

std::string with_commas(int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t i = std::ssize(digits) - 3; i > 0; i -= 3) digits.insert(digits.begin() + i, ',');
  return digits;
}

std::string counted(int64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", with_commas(count), noun, count == 1 ? "" : "s");
}

}  // namespace trireme
