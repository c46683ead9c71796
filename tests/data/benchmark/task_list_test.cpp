#include "data/benchmark/task_list.h"

#include "core/config/config.h"
#include "data/benchmark/floor_table.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

using testing::HasSubstr;

TaskList small_list() {
  TaskList list;
  list.dataset = "toys";
  list.instructions = "instructions/query_instructions.tsv";
  list.rows = {{.id = "task0", .label = "text -> picture"}};
  list.tasks = {{.id = "task0_test",
                 .label = "name -> picture",
                 .row = "task0",
                 .set = "main",
                 .split = "test",
                 .task_id = 0,
                 .query = "query/test/q.jsonl",
                 .pool = "cand_pool/local/p.jsonl",
                 .qrels = "qrels/test/r.txt",
                 .global_pool = "",
                 .global_qrels = "",
                 .queries = 3,
                 .candidates = 4,
                 .floor = ""}};
  return list;
}

TEST(TaskList, ComesBackAsItWasWritten) {
  const TempFolder folder;
  const std::string text = dump(small_list());
  folder.write("tasks.yaml", text);
  EXPECT_EQ(dump(read_task_list(folder.path())), text);
}

TEST(TaskList, RefusesIdsGivenTwiceAndRowsNotListed) {
  const TempFolder folder;
  TaskList list = small_list();
  list.tasks.push_back(list.tasks[0]);
  list.tasks[1].row = "task9";
  folder.write("tasks.yaml", dump(list));
  const std::string message = message_of<ConfigError>([&] { read_task_list(folder.path()); });
  EXPECT_THAT(message, HasSubstr("task0_test twice"));
  EXPECT_THAT(message, HasSubstr("task9 in task0_test"));
}

TEST(TaskList, RefusesAGlobalPoolWithoutItsQrels) {
  const TempFolder folder;
  TaskList list = small_list();
  list.tasks[0].global_pool = "cand_pool/global/g.jsonl";
  folder.write("tasks.yaml", dump(list));
  EXPECT_THAT(message_of<ConfigError>([&] { read_task_list(folder.path()); }), HasSubstr("global_qrels"));
}

TEST(FloorTable, OfPictogramsIsReadable) {
  const auto table = load_config<FloorTable>(std::filesystem::path(TRIREME_TEST_DIR).parent_path() / "experiments" /
                                             "pictograms" / "floors.yaml");
  EXPECT_EQ(table->dataset, "pictograms");
  EXPECT_EQ(table->floors.front().id, "task4_noto_to_emojione");
  EXPECT_EQ(table->floors.front().recall_at_1, 48.1);
}

}  // namespace
}  // namespace trireme::test
