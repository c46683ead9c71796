#include "core/config/config.h"
#include "data/benchmark/floor_table.h"
#include "data/preparation/prepare.h"
#include "tests/data/preparation/dataset_checks.h"
#include "tests/support/temp_folder.h"

// On a machine that has the packages: the whole dataset, against the counts and floors it is known for.
namespace trireme::test {
namespace {

TEST(RealPackages, GiveTheKnownCountsAndTasks) {
  const TempFolder folder;
  const std::filesystem::path data = folder.path() / "pictograms";
  try {
    PictogramPackages packages("/");
    if (packages.svg_converter().empty()) GTEST_SKIP() << "librsvg2-bin is not installed";
    if (!packages.are_known_versions()) GTEST_SKIP() << "the packages are of other versions than Debian 12's";
  } catch (const DataError& error) {
    GTEST_SKIP() << error.what();
  }
  prepare_pictograms({.out = data, .package_root = "/", .check_counts = true});

  const auto floors = load_config<FloorTable>(std::filesystem::path(TRIREME_TEST_DIR).parent_path() / "experiments" /
                                              "pictograms" / "floors.yaml");
  std::map<std::string, const Floor*> floor_of;
  for (const Floor& floor : floors->floors) floor_of[floor.id] = &floor;
  int64_t compared = 0;
  for (const EvalTask& task : read_task_list(data).tasks) {
    expect_sound(data, task);
    if (task.floor.empty()) continue;
    ASSERT_TRUE(floor_of.contains(task.floor)) << task.floor;
    const Floor& floor = *floor_of[task.floor];
    EXPECT_EQ(task.task_id, floor.task_id);
    if (task.id == "task7_tone_test") continue;  // its floor was measured on another choice of tone changes
    EXPECT_EQ(task.queries, floor.queries) << task.id;
    EXPECT_EQ(task.candidates, floor.candidates) << task.id;
    ++compared;
  }
  EXPECT_GE(compared, 20);
  expect_no_leak(data);
}

}  // namespace
}  // namespace trireme::test
