#include <bit>
#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"

namespace trireme::test {
namespace {

constexpr std::size_t kLongestKeyBytes = 200;

void append_utf8(uint32_t point, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((point >> shift) & 0x3f)); };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0 | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    text += static_cast<char>(0xe0 | (point >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | (point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

/// Any text that UTF-8 can say from `lowest` on, with more of what YAML takes for its own.
rc::Gen<std::string> any_text(uint32_t lowest) {
  const std::string yaml = ":#-[]{},&*!|>'\"%@`~?\\ \t\n\r=.0123eE+nulltruefalseyno";
  const auto point = rc::gen::weightedOneOf<uint32_t>(
      {{6, rc::gen::map(rc::gen::elementOf(yaml), [](char c) { return static_cast<uint32_t>(c); })},
       {2, rc::gen::inRange<uint32_t>(lowest, 0x100)},
       {1, rc::gen::element<uint32_t>(0x85, 0xa0, 0x2028, 0x2029, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10ffff)},
       {1, rc::gen::inRange<uint32_t>(0xe000, 0x110000)}});
  return rc::gen::map(rc::gen::container<std::vector<uint32_t>>(point), [](const std::vector<uint32_t>& points) {
    std::string text;
    for (const uint32_t p : points) append_utf8(p, text);
    return text;
  });
}

std::string draw_text() { return *any_text(0); }
std::filesystem::path draw_path() { return *any_text(1); }
std::string draw_key() {
  return *rc::gen::suchThat(any_text(0),
                            [](const std::string& key) { return !key.empty() && key.size() <= kLongestKeyBytes; });
}

/// Any bits but those of NaN: NaN is not equal to itself, and all NaNs are written alike.
double draw_double() {
  return *rc::gen::suchThat(
      rc::gen::map(rc::gen::arbitrary<uint64_t>(), [](uint64_t bits) { return std::bit_cast<double>(bits); }),
      [](double value) { return !std::isnan(value); });
}
double draw_positive() {
  const double value = std::abs(draw_double());
  return std::isfinite(value) && value > 0 ? value : 1;
}
RopeMode draw_mode() { return *rc::gen::element(RopeMode::kMrope, RopeMode::kOned); }

template <class Draw>
auto draw_some(Draw draw) {
  std::vector<decltype(draw())> some(*rc::gen::inRange<std::size_t>(0, 4));
  for (auto& one : some) one = draw();
  return some;
}
template <class Draw>
auto draw_maybe(Draw draw) {
  return *rc::gen::arbitrary<bool>() ? std::optional(draw()) : std::nullopt;
}

TaskConfig draw_task() {
  std::filesystem::path records = draw_path();
  return {records.empty() ? "x" : records, draw_maybe(draw_positive)};
}

SampleConfig draw_config() {
  SampleConfig config;
  config.name = fmt::format("x{}", draw_text());
  config.exact = *rc::gen::arbitrary<bool>();
  config.seed = *rc::gen::arbitrary<int64_t>();
  config.rope_mode = draw_mode();
  config.out = "x" / draw_path();
  config.tags = draw_some(draw_text);
  config.modes = draw_some(draw_mode);
  for (const std::string& key : draw_some(draw_key)) config.temperatures[key] = draw_positive();
  for (const std::string& key : draw_some(draw_key)) config.tasks[key] = draw_task();
  config.extra_tasks = draw_some(draw_task);
  config.validation = draw_maybe(draw_task);
  config.precision = *rc::gen::element<std::string>("float32", "bfloat16");
  config.floor = draw_double();
  config.optim.peak_lr = draw_positive();
  config.optim.total_steps = *rc::gen::inRange<int64_t>(1, 1'000'000);
  config.optim.warmup_steps = *rc::gen::inRange<int64_t>(0, config.optim.total_steps);
  config.optim.betas = {*rc::gen::element(0.0, 0.9, 0.1, 1.0)};
  config.optim.clip_norm = draw_maybe(draw_positive);
  config.optim.decay_steps = *rc::gen::inRange<int64_t>(1, 1000);
  return config;
}

TEST(RoundTrip, DumpOfParseOfDumpIsTheSameBytes) {
  EXPECT_TRUE(rc::check([] {
    const std::string text = dump(draw_config());
    RC_ASSERT(Resolved<SampleConfig>::from(ConfigSource::parse(text, "x.yaml")).dump() == text);
  }));
}

TEST(RoundTrip, ValuesComeBackToTheLastBit) {
  EXPECT_TRUE(rc::check([] {
    const SampleConfig written = draw_config();
    const auto read = Resolved<SampleConfig>::from(ConfigSource::parse(dump(written), "x.yaml"));
    RC_ASSERT(read->name == written.name);
    RC_ASSERT(read->seed == written.seed);
    RC_ASSERT(read->out == written.out);
    RC_ASSERT(read->tags == written.tags);
    RC_ASSERT(read->modes == written.modes);
    RC_ASSERT(read->temperatures == written.temperatures);
    RC_ASSERT(read->tasks.size() == written.tasks.size());
    RC_ASSERT(std::bit_cast<uint64_t>(read->floor) == std::bit_cast<uint64_t>(written.floor));
    RC_ASSERT(std::bit_cast<uint64_t>(read->optim.peak_lr) == std::bit_cast<uint64_t>(written.optim.peak_lr));
  }));
}

TEST(RoundTrip, AnOverrideInQuotesComesBackToTheLastByte) {
  EXPECT_TRUE(rc::check([] {
    const std::string text = draw_text();
    const std::vector<std::string> overrides = {
        fmt::format("name={}", emit_yaml_inline(YamlNode::string(fmt::format("x{}", text))))};
    RC_ASSERT(Resolved<SampleConfig>::from(ConfigSource::parse("seed: 1", "x.yaml", overrides))->name ==
              fmt::format("x{}", text));
  }));
}

}  // namespace
}  // namespace trireme::test
