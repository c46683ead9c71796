#include "trainers/schedule/schedule.h"

#include <fstream>

#include <gmock/gmock.h>

#include "core/config/choice.h"
#include "core/config/config.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Schedule, EqualsTransformersAtEveryStep) {
  std::ifstream file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/optim/schedules.tsv");
  std::string kind_name;
  int64_t warmup_steps = 0, total_steps = 0, step = 0, rows = 0;
  double min_ratio = 0, factor = 0;
  while (file >> kind_name >> warmup_steps >> total_steps >> min_ratio >> step >> factor) {
    ++rows;
    ScheduleConfig config{.warmup_steps = warmup_steps, .min_ratio = min_ratio};
    for (const auto& [kind, name] : choice_names(ScheduleKind{})) {
      if (name == kind_name) config.kind = kind;
    }
    EXPECT_NEAR(Schedule(config, total_steps).factor(step), factor, 1e-15)
        << kind_name << ' ' << warmup_steps << ' ' << total_steps << ' ' << min_ratio << ' ' << step;
  }
  EXPECT_EQ(rows, 4 * (7 + 20 + 1 + 10));
}

TEST(Schedule, RoundsTheWarmUpUpToWholeSteps) {
  EXPECT_EQ(Schedule({.warmup_ratio = 0.03}, 1389).warmup_steps(), 42);  // LamRA's second stage: 41.67
  EXPECT_EQ(Schedule({.warmup_ratio = 0.03}, 1).warmup_steps(), 1);
  EXPECT_EQ(Schedule({.warmup_ratio = 0}, 100).warmup_steps(), 0);
  EXPECT_EQ(Schedule({.warmup_steps = 5, .warmup_ratio = 0.5}, 100).warmup_steps(), 5);
}

TEST(Schedule, RefusesAWarmUpLongerThanTheRun) {
  EXPECT_THAT(message_of<ConfigError>([] { Schedule({.warmup_steps = 11}, 10); }),
              AllOf(HasSubstr("got 11 and 10 steps"), HasSubstr("warmup_steps")));
}

TEST(Schedule, RefusesAnUnknownNameBeforeAnythingRuns) {
  EXPECT_THAT(
      message_of<ConfigError>([] { Resolved<ScheduleConfig>::from(ConfigSource::parse("kind: cosinus", "x.yaml")); }),
      AllOf(HasSubstr("cosinus"), HasSubstr("did you mean cosine")));
}

}  // namespace
}  // namespace trireme
