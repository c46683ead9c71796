#include "core/progress.h"

#include <sstream>

#include <gmock/gmock.h>

#include "core/log.h"

namespace trireme::test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using namespace std::chrono_literals;

/// A clock that goes when told.
class ProgressTest : public ::testing::Test {
 protected:
  Progress::Clock clock() {
    return [this] { return now_; };
  }
  void pass(std::chrono::milliseconds time) { now_ += time; }
  /// What came since the last call.
  std::string written() {
    std::string text = out_.str();
    out_.str("");
    return text;
  }
  static ProgressOptions records(ProgressStyle style) {
    return {.style = style, .label = "embed", .unit = "records", .total = 10'000};
  }

  std::ostringstream out_;
  std::chrono::steady_clock::time_point now_{1000s};
};

TEST_F(ProgressTest, BarShowsShareRateAndTimeLeft) {
  Console console(out_, true);
  Progress progress(console, records(ProgressStyle::kBar), clock());
  pass(50s);
  progress.advance(4060);
  EXPECT_EQ(written(), "\r\x1b[Kembed  40% [########            ] 4060/10000 records  81.2 records/s  ETA 1:13");
  pass(50s);
  progress.advance(5940);
  EXPECT_EQ(written(), "\r\x1b[Kembed 100% [####################] 10000/10000 records  100 records/s  ETA 0:00");
  pass(23s);
  progress.finish();
  EXPECT_EQ(written(), "\r\x1b[Kembed: 10000 records in 2:03, 81.3 records/s\n");
}

TEST_F(ProgressTest, BarIsDrawnAtMostTenTimesASecond) {
  Console console(out_, true);
  Progress progress(console, records(ProgressStyle::kBar), clock());
  for (int i = 0; i < 1000; ++i) {
    progress.advance(1);
    pass(1ms);
  }
  const std::string text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\r'), 10);
}

TEST_F(ProgressTest, BarFitsTheTerminal) {
  Console console(out_, true);
  ProgressOptions options = records(ProgressStyle::kBar);
  options.columns = 40;
  Progress progress(console, options, clock());
  pass(1s);
  progress.advance(50);
  EXPECT_EQ(written().size(), std::string("\r\x1b[K").size() + 39);
}

TEST_F(ProgressTest, BarWithoutATotalCounts) {
  Console console(out_, true);
  ProgressOptions options = records(ProgressStyle::kBar);
  options.total.reset();
  Progress progress(console, options, clock());
  pass(2s);
  progress.advance(50);
  EXPECT_EQ(written(), "\r\x1b[Kembed 50 records  25.0 records/s");
}

TEST_F(ProgressTest, BarGoesAwayWhenWorkFails) {
  Console console(out_, true);
  {
    Progress progress(console, records(ProgressStyle::kBar), clock());
    progress.advance(1);
    EXPECT_THAT(written(), HasSubstr("embed"));
  }
  EXPECT_EQ(written(), "\r\x1b[K") << "the error line would stand behind the bar";
}

TEST_F(ProgressTest, LogLinesGoAboveTheBar) {
  Console console(out_, true);
  Log log(console, {});
  Progress progress(console, records(ProgressStyle::kBar), clock());
  progress.advance(1);
  const std::string bar = written().substr(4);
  log.warning("a grey picture");
  const std::string text = written();
  EXPECT_EQ(text.substr(0, 4), "\r\x1b[K");
  EXPECT_THAT(text, EndsWith("warning: a grey picture\n" + bar));
}

TEST_F(ProgressTest, PlainLinesComeEveryFewSeconds) {
  Console console(out_, false);
  Progress progress(console, records(ProgressStyle::kLines), clock());
  pass(9s);
  progress.advance(500);
  EXPECT_THAT(written(), IsEmpty());
  pass(1s);
  progress.advance(500);
  EXPECT_EQ(written(), "embed: 1000 of 10000 records, 100 records/s, ETA 1:30\n");
  pass(9s);
  progress.advance(500);
  EXPECT_THAT(written(), IsEmpty());
  pass(3591s);
  progress.advance(500);
  EXPECT_EQ(written(), "embed: 2000 of 10000 records, 0.6 records/s, ETA 4:00:40\n");
  progress.finish();
  EXPECT_EQ(written(), "embed: 2000 records in 1:00:10, 0.6 records/s\n");
}

TEST_F(ProgressTest, NothingDoneInNoTimeHasNoRate) {
  Console console(out_, true);
  Progress progress(console, records(ProgressStyle::kBar), clock());
  progress.advance(0);
  EXPECT_EQ(written(), "\r\x1b[Kembed   0% [                    ] 0/10000 records");
  progress.finish();
  EXPECT_EQ(written(), "\r\x1b[Kembed: 0 records in 0:00\n");
}

TEST_F(ProgressTest, OtherRanksAreSilent) {
  Console console(out_, true);
  Progress progress(console, records(ProgressStyle::kNone), clock());
  pass(60s);
  progress.advance(5000);
  progress.finish();
  EXPECT_THAT(written(), IsEmpty());
}

TEST(Console, HasNoStatusWithoutATerminal) {
  std::ostringstream out;
  Console console(out, false);
  console.status("never");
  console.line("always");
  EXPECT_EQ(out.str(), "always\n");
}

TEST(Console, RemovesTheStatusAtTheEnd) {
  std::ostringstream out;
  {
    Console console(out, true);
    console.status("here");
  }
  EXPECT_THAT(out.str(), EndsWith("here\r\x1b[K"));
  EXPECT_THAT(out.str(), Not(HasSubstr("\n")));
}

}  // namespace
}  // namespace trireme::test
