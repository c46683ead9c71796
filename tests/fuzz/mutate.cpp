#include "tests/fuzz/mutate.h"

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/error.h"
#include "core/utf8.h"

namespace trireme::fuzz {
namespace {

constexpr std::size_t kMaxGrowthBytes = 1 << 20;
constexpr int64_t kMaxMemoryGrowthKib = 1 << 20;
constexpr std::size_t kMaxMessageBytes = 2000;

/// Draws without the standard distributions, whose results differ between libraries.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t bits() { return engine_(); }
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

struct Range {
  std::size_t begin, size;
};

/// Short ranges are drawn more often than long ones; never empty unless the text is.
Range draw_range(Random& random, std::size_t text_size) {
  const std::size_t begin = random.below(text_size);
  const std::size_t longest = std::max<std::size_t>(1, (text_size - begin) >> random.below(12));
  return {begin, std::min(text_size - begin, 1 + random.below(longest))};
}

void flip_bit(Random& random, std::string& text) { text[random.below(text.size())] ^= char(1u << random.below(8)); }

void replace_byte(Random& random, std::string& text) {
  static constexpr std::string_view kTelling("\0\x01\x7f\x80\xff\xc3 \t\n\"\\{}[]:,-.0e", 21);
  text[random.below(text.size())] = kTelling[random.below(kTelling.size())];
}

void truncate(Random& random, std::string& text) { text.resize(random.below(text.size())); }

void drop_range(Random& random, std::string& text) {
  const Range range = draw_range(random, text.size());
  text.erase(range.begin, range.size);
}

void double_range(Random& random, std::string& text) {
  const Range range = draw_range(random, text.size());
  const std::string piece = text.substr(range.begin, range.size);
  const std::size_t times = random.below(16) == 0 ? random.below(1000) : 1;
  for (std::size_t i = 0; i < times && piece.size() * i < kMaxGrowthBytes / 8; ++i) text.insert(range.begin, piece);
}

void swap_ranges(Random& random, std::string& text) {
  const Range a = draw_range(random, text.size()), b = draw_range(random, text.size());
  const std::size_t size = std::min(a.size, b.size);
  const std::string piece = text.substr(a.begin, size);
  text.replace(a.begin, size, text.substr(b.begin, size));
  text.replace(b.begin, size, piece);
}

void insert_noise(Random& random, std::string& text) {
  std::string noise(1 + random.below(16), '\0');
  for (char& byte : noise) byte = char(random.bits());
  text.insert(random.below(text.size() + 1), noise);
}

/// A run of digits becomes a number at or beyond some type's end.
void replace_number(Random& random, std::string& text) {
  static constexpr std::array<std::string_view, 20> kNumbers{"0",
                                                             "1",
                                                             "-1",
                                                             "2",
                                                             "127",
                                                             "255",
                                                             "65536",
                                                             "2147483647",
                                                             "2147483648",
                                                             "4294967295",
                                                             "4294967296",
                                                             "9223372036854775807",
                                                             "9223372036854775808",
                                                             "18446744073709551615",
                                                             "18446744073709551616",
                                                             "-9223372036854775808",
                                                             "99999999999999999999999999999999",
                                                             "1e308",
                                                             "1e999",
                                                             "0.5"};
  const std::size_t begin = text.find_first_of("0123456789", random.below(text.size()));
  if (begin == std::string::npos) return;
  const std::size_t end = std::min(text.find_first_not_of("0123456789", begin), text.size());
  text.replace(begin, end - begin, kNumbers[random.below(kNumbers.size())]);
}

/// 1, 2, 4 or 8 bytes, often at the start, are read as a length and become an extreme one, in either byte order.
void replace_length(Random& random, std::string& text) {
  const std::size_t width = std::min<std::size_t>(text.size(), std::size_t{1} << random.below(4));
  const std::size_t at = random.below(4) == 0 ? 0 : random.below(text.size() - width + 1);
  uint64_t value = 0;
  std::memcpy(&value, text.data() + at, width);
  const std::array<uint64_t, 10> choices{0,
                                         1,
                                         value + 1,
                                         value - 1,
                                         value * 2,
                                         text.size(),
                                         uint64_t{1} << random.below(64),
                                         (uint64_t{1} << random.below(64)) - 1,
                                         std::numeric_limits<uint64_t>::max(),
                                         std::numeric_limits<uint64_t>::max() >> 1};
  value = choices[random.below(choices.size())];
  if (random.below(2) == 0) value = __builtin_bswap64(value) >> (64 - 8 * width);
  std::memcpy(text.data() + at, &value, width);
}

void put_in_piece(Random& random, std::string& text, const std::vector<std::string>& dictionary) {
  if (dictionary.empty()) return;
  const std::string& piece = dictionary[random.below(dictionary.size())];
  const std::size_t at = random.below(text.size() + 1);
  if (random.below(2) == 0) {
    text.insert(at, piece);
  } else {
    text.replace(at, std::min(piece.size(), text.size() - at), piece);
  }
}

void splice(Random& random, std::string& text, const std::vector<std::string>& seeds) {
  const std::string& other = seeds[random.below(seeds.size())];
  text = text.substr(0, random.below(text.size() + 1)) + other.substr(random.below(other.size() + 1));
}

void edit(Random& random, std::string& text, const Corpus& corpus) {
  if (text.empty()) return insert_noise(random, text);
  switch (random.below(12)) {
    case 0:
      return flip_bit(random, text);
    case 1:
      return replace_byte(random, text);
    case 2:
      return truncate(random, text);
    case 3:
      return drop_range(random, text);
    case 4:
      return double_range(random, text);
    case 5:
      return swap_ranges(random, text);
    case 6:
      return insert_noise(random, text);
    case 7:
      return replace_number(random, text);
    case 8:
      return replace_length(random, text);
    case 9:
      return splice(random, text, corpus.seeds);
    default:
      return put_in_piece(random, text, corpus.dictionary);
  }
}

uint64_t number_from_environment(const char* name, uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

/// The file NAME.fuzz_position, which says which input is in work, also after a crash: it is mapped memory, so that
/// keeping it up costs nothing. It goes when the run ends well.
class Position {
 public:
  Position(std::string_view name, uint64_t seed) : path_(fmt::format("{}.fuzz_position", name)), seed_(seed) {
    const int descriptor = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (descriptor < 0 || ::ftruncate(descriptor, kBytes) != 0)
      throw std::runtime_error("cannot write " + path_ + " in the working folder");
    text_ = static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0));
    ::close(descriptor);
    if (text_ == MAP_FAILED) throw std::runtime_error("cannot map " + path_);
  }
  Position(const Position&) = delete;
  Position& operator=(const Position&) = delete;
  ~Position() { ::munmap(text_, kBytes); }
  void set(uint64_t index) {
    *fmt::format_to_n(text_, kBytes - 1, "TRIREME_FUZZ_SEED={} TRIREME_FUZZ_FIRST={:<20}", seed_, index).out = '\n';
  }
  void remove() { ::unlink(path_.c_str()); }

 private:
  static constexpr std::size_t kBytes = 128;
  std::string path_;
  uint64_t seed_;
  char* text_;
};

int64_t peak_memory_kib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

bool fit_for_a_terminal(std::string_view message) {
  return message.size() <= kMaxMessageBytes && is_valid_utf8(message) &&
         std::none_of(message.begin(), message.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

enum class Verdict { kAccepted, kRefused };

/// Runs the target once; a defect comes out as std::runtime_error that says what it was.
Verdict judge(const std::function<void(const std::string&)>& target, const std::string& input) {
  try {
    target(input);
    return Verdict::kAccepted;
  } catch (const InternalError& error) {
    throw std::runtime_error(fmt::format("broke an invariant: {}", error.what()));
  } catch (const Error& error) {
    if (!fit_for_a_terminal(error.what()))
      throw std::runtime_error(fmt::format("refused it with a message unfit for a terminal: {}", error.what()));
    return Verdict::kRefused;
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("threw something other than trireme::Error: {}", error.what()));
  }
}

}  // namespace

std::string mutated_input(const Corpus& corpus, uint64_t seed, uint64_t index) {
  Random random(seed * 0x9e3779b97f4a7c15ull + index);
  std::string text = corpus.seeds.at(random.below(corpus.seeds.size()));
  const std::size_t max_size = text.size() + kMaxGrowthBytes;
  // Few edits are more likely than many: inputs that are nearly well-formed reach furthest.
  for (std::size_t edits = 1 + random.below(1 + random.below(6)); edits > 0; --edits) edit(random, text, corpus);
  if (text.size() > max_size) text.resize(max_size);
  return text;
}

void survives_mutation(std::string_view name, const Corpus& corpus,
                       const std::function<void(const std::string& input)>& target) {
  using Clock = std::chrono::steady_clock;
  ASSERT_FALSE(corpus.seeds.empty());
  const uint64_t seed = number_from_environment("TRIREME_FUZZ_SEED", 1);
  const uint64_t first = number_from_environment("TRIREME_FUZZ_FIRST", 0);
  Position position(name, seed);
  std::string input;
  uint64_t index = first, accepted = 0, refused = 0;
  try {
    for (const std::string& unchanged : corpus.seeds) {
      input = unchanged;
      ASSERT_EQ(judge(target, input), Verdict::kAccepted) << "a seed of the corpus";
    }
    const int64_t memory_before_kib = peak_memory_kib();
    const auto end = Clock::now() + std::chrono::seconds(number_from_environment("TRIREME_FUZZ_SECONDS", 2));
    for (; Clock::now() < end; ++index) {
      position.set(index);
      input = mutated_input(corpus, seed, index);
      ++(judge(target, input) == Verdict::kAccepted ? accepted : refused);
    }
    EXPECT_GT(refused, 0u) << "no mutated input was refused: nothing was tested";
    EXPECT_LT(peak_memory_kib() - memory_before_kib, kMaxMemoryGrowthKib) << "peak memory, KiB";
    fmt::print("{}: {} mutated inputs, {} accepted and {} refused\n", name, index - first, accepted, refused);
  } catch (const std::runtime_error& defect) {
    const std::string path = fmt::format("{}.fuzz_input", name);
    std::ofstream(path, std::ios::binary) << input;
    ADD_FAILURE() << "TRIREME_FUZZ_SEED=" << seed << " TRIREME_FUZZ_FIRST=" << index << ", kept in " << path
                  << ": the target " << defect.what();
  }
  position.remove();
}

}  // namespace trireme::fuzz
