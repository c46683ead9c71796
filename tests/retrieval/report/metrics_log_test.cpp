#include "retrieval/report/metrics_log.h"

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MetricsLogTest : public ::testing::Test {
 protected:
  std::vector<MetricSeries> read(std::string_view text) const {
    return read_metrics_log(folder_.write("metrics.jsonl", text));
  }
  std::string refusal(std::string_view text) const {
    return message_of<DataError>([&] { read(text); });
  }
  TempFolder folder_;
};

TEST_F(MetricsLogTest, GathersEachKeyOverItsSteps) {
  const auto series = read(
      "{\"step\": 1, \"train/loss\": 2.5, \"lr\": 1e-4}\n"
      "{\"step\": 2, \"train/loss\": 2}\n"
      "{\"step\": 2, \"val/recall_at_5\": 0.25, \"note\": \"text\", \"lr\": null}\n");
  ASSERT_EQ(series.size(), 3u);
  EXPECT_EQ(series[0].key, "train/loss");
  EXPECT_THAT(series[0].steps, ElementsAre(1, 2));
  EXPECT_THAT(series[0].values, ElementsAre(2.5, 2.0));
  EXPECT_EQ(series[1].key, "lr");
  EXPECT_THAT(series[1].steps, ElementsAre(1));
  EXPECT_THAT(series[2].values, ElementsAre(0.25));
}

TEST_F(MetricsLogTest, LeavesOutALineThatIsStillBeingWritten) {
  EXPECT_EQ(read("{\"step\": 1, \"a\": 1}\n{\"step\": 2, \"a\"").at(0).steps.size(), 1u);
  EXPECT_TRUE(read("").empty());
}

TEST_F(MetricsLogTest, RefusesBrokenLines) {
  EXPECT_THAT(refusal("{\"step\": 1}\n{oops}\n{\"step\": 2}\n"), HasSubstr("metrics.jsonl:2"));
  EXPECT_THAT(refusal("[1]\n"), HasSubstr("JSON object"));
  EXPECT_THAT(refusal("{\"loss\": 1}\n"), HasSubstr("\"step\""));
  EXPECT_THAT(refusal("{\"step\": 2}\n{\"step\": 1}\n"), HasSubstr("got 1 after 2"));
}

TEST_F(MetricsLogTest, TellsTheGroupOfAKey) {
  EXPECT_EQ(group_of("train/loss"), "train");
  EXPECT_EQ(group_of("val/task4/recall"), "val");
  EXPECT_EQ(group_of("loss"), "");
}

}  // namespace
}  // namespace trireme
