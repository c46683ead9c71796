#include "core/progress.h"

#include <algorithm>
#include <utility>

#include "core/elapsed.h"
#include "core/error.h"

namespace trireme {
namespace {

constexpr std::chrono::milliseconds kBarPeriod{100};
constexpr int64_t kBarCells = 20;

/// "0:07", "12:03", "1:02:03"
std::string duration_text(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

/// "81.2 records/s", "812 records/s"
std::string rate_text(double per_second, std::string_view unit) {
  return fmt::format("{:.{}f} {}/s", per_second, per_second < 100 ? 1 : 0, unit);
}

}  // namespace

Progress::Progress(Console& console, ProgressOptions options, Clock clock)
    : console_(console), options_(std::move(options)), clock_(std::move(clock)), start_(clock_()), next_show_(start_) {
  TRIREME_ASSERT(options_.style != ProgressStyle::kBar || console_.terminal(), "a bar needs a terminal");
  if (options_.style == ProgressStyle::kLines) next_show_ += options_.seconds_per_line;
}

Progress::~Progress() {
  if (!finished_ && options_.style == ProgressStyle::kBar) console_.status({});
}

void Progress::advance(int64_t units) {
  done_ += units;
  if (options_.style == ProgressStyle::kNone) return;
  const auto now = clock_();
  if (now < next_show_) return;
  const double elapsed_s = seconds_between(start_, now);
  if (options_.style == ProgressStyle::kBar) {
    console_.status(bar(elapsed_s));
    next_show_ = now + kBarPeriod;
  } else {
    console_.line(line(elapsed_s));
    next_show_ = now + options_.seconds_per_line;
  }
}

void Progress::finish() {
  finished_ = true;
  if (options_.style == ProgressStyle::kNone) return;
  const double elapsed_s = seconds_between(start_, clock_());
  console_.status({});
  std::string text = fmt::format("{}: {} {} in {}", options_.label, done_, options_.unit, duration_text(elapsed_s));
  if (elapsed_s > 0) text += ", " + rate_text(static_cast<double>(done_) / elapsed_s, options_.unit);
  console_.line(text);
}

std::string Progress::bar(double elapsed_s) const {
  std::string text = options_.label + " ";
  if (const int64_t total = options_.total.value_or(0); total > 0) {
    const int64_t done = std::min(done_, total);
    const auto full = static_cast<std::size_t>(done * kBarCells / total);
    text += fmt::format("{:3}% [{:<{}}] {}/{}", done * 100 / total, std::string(full, '#'), kBarCells, done_, total);
  } else {
    text += fmt::format("{}", done_);
  }
  text += fmt::format(" {}{}", options_.unit, rate_and_rest(elapsed_s, "  "));
  return text.substr(0, static_cast<std::size_t>(std::max<int64_t>(options_.columns - 1, 0)));
}

std::string Progress::line(double elapsed_s) const {
  const std::string of_total = options_.total ? fmt::format(" of {}", *options_.total) : "";
  return fmt::format("{}: {}{} {}{}", options_.label, done_, of_total, options_.unit, rate_and_rest(elapsed_s, ", "));
}

std::string Progress::rate_and_rest(double elapsed_s, std::string_view separator) const {
  if (elapsed_s <= 0 || done_ == 0) return "";
  const double per_second = static_cast<double>(done_) / elapsed_s;
  std::string text = fmt::format("{}{}", separator, rate_text(per_second, options_.unit));
  if (options_.total) {
    const auto rest = static_cast<double>(std::max<int64_t>(*options_.total - done_, 0));
    text += fmt::format("{}ETA {}", separator, duration_text(rest / per_second));
  }
  return text;
}

}  // namespace trireme
