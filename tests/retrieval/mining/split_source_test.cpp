#include "retrieval/mining/split_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Two datasets that answer each other's queries, as OVEN (5) and InfoSeek (6) do, and one that does not (9).
class SplitSourceTest : public ::testing::Test {
 protected:
  SplitSourceTest() {
    source_.root = folder_.path();
    source_.queries = {"a.jsonl", "b.jsonl"};
    source_.pool = "pool.jsonl";
    source_.instruction = InstructionChoice::kNone;
    folder_.write("a.jsonl", query("5:1", 6, R"("5:11")") + query("9:1", 1, R"("9:11", "9:12")"));
    folder_.write("b.jsonl",
                  query("5:2", 6, R"("6:11")") + query("9:1", 1, R"("9:11", "9:12")") + query("9:2", 0, R"("9:21")"));
    folder_.write("pool.jsonl", text("9:11") + text("5:11") + picture("9:21") + text("6:11") + text("9:12") +
                                    picture("6:21") + text("6:12"));
  }

  static std::string query(const std::string& qid, int task, const std::string& positives,
                           const std::string& more = "") {
    return fmt::format(R"({{"qid": "{0}", "query_txt": "ask {0}", "query_modality": "text", "task_id": {1}, )"
                       R"("pos_cand_list": [{2}]{3}}})"
                       "\n",
                       qid, task, positives, more);
  }
  static std::string text(const std::string& did) {
    return fmt::format(R"({{"did": "{0}", "txt": "text {0}", "img_path": null, "modality": "text"}})"
                       "\n",
                       did);
  }
  static std::string picture(const std::string& did) {
    return fmt::format(R"({{"did": "{0}", "txt": null, "img_path": "{0}.png", "modality": "image"}})"
                       "\n",
                       did);
  }

  MiningPlan split(int64_t depth = 1) const { return split_source(source_, depth, folder_.path() / "work"); }
  std::string read(const std::string& name) const { return read_text_file(folder_.path() / "work" / name); }
  static std::vector<std::string> names(const auto& items) {
    std::vector<std::string> names;
    for (const auto& item : items) names.push_back(item.name);
    return names;
  }

  TempFolder folder_;
  MineSourceConfig source_;
};

TEST_F(SplitSourceTest, ATaskSearchesTheDatasetsAndModalitiesOfItsPositives) {
  const MiningPlan plan = split();
  EXPECT_THAT(names(plan.parts), ElementsAre("dataset5_text", "dataset6_text", "dataset9_text", "dataset9_image"));
  EXPECT_THAT(names(plan.groups), ElementsAre("dataset5_task6", "dataset9_task0", "dataset9_task1"));
  EXPECT_THAT(plan.groups[0].parts, ElementsAre(0, 1));
  EXPECT_THAT(plan.groups[1].parts, ElementsAre(3));
  EXPECT_THAT(plan.groups[2].parts, ElementsAre(2));
  EXPECT_EQ(read("pool/dataset6_text.jsonl"), text("6:11") + text("6:12"));
  EXPECT_EQ(plan.parts[1].documents, 2);
  EXPECT_EQ(read("queries/dataset5_task6.jsonl"), query("5:1", 6, R"("5:11")") + query("5:2", 6, R"("6:11")"));
  EXPECT_EQ(plan.groups[0].queries, 2);
}

TEST_F(SplitSourceTest, UnderGlobalScopeEveryQuerySearchesAll) {
  source_.scope = MiningScope::kGlobal;
  const MiningPlan plan = split(7);
  EXPECT_THAT(names(plan.parts),
              ElementsAre("dataset5_text", "dataset6_text", "dataset6_image", "dataset9_text", "dataset9_image"));
  for (const QueryGroup& group : plan.groups) EXPECT_THAT(group.parts, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(SplitSourceTest, AQueryThatComesAgainIsMinedOnce) {
  const MiningPlan plan = split();
  EXPECT_EQ(plan.repeated_queries, 1);
  EXPECT_EQ(read("queries/dataset9_task1.jsonl"), query("9:1", 1, R"("9:11", "9:12")"));
}

TEST_F(SplitSourceTest, KeepsTheTasksAskedFor) {
  source_.tasks = {0};
  EXPECT_THAT(names(split().groups), ElementsAre("dataset9_task0"));
  source_.tasks = {8};
  EXPECT_THAT(message_of<DataError>([&] { split(); }), HasSubstr("at least one query"));
}

TEST_F(SplitSourceTest, RefusesTwoQueriesUnderOneName) {
  folder_.write("b.jsonl", query("9:1", 1, R"("9:12")"));
  EXPECT_THAT(message_of<DataError>([&] { split(); }),
              AllOf(HasSubstr("b.jsonl:1"), HasSubstr("\"9:1\""), HasSubstr("a.jsonl:2")));
}

TEST_F(SplitSourceTest, RefusesAQueryWithoutPositives) {
  folder_.write("b.jsonl", query("9:3", 1, ""));
  EXPECT_THAT(message_of<DataError>([&] { split(); }), AllOf(HasSubstr("b.jsonl:1"), HasSubstr("pos_cand_list")));
}

TEST_F(SplitSourceTest, RefusesPositivesThatThePoolLacksUnlessTold) {
  folder_.write("b.jsonl", query("9:3", 1, R"("9:11", "9:99")") + query("9:4", 1, R"("9:98")"));
  EXPECT_THAT(message_of<DataError>([&] { split(); }),
              AllOf(HasSubstr("b.jsonl:1"), HasSubstr("9:99"), HasSubstr("source.allow_missing_positives")));
  source_.allow_missing_positives = true;
  const MiningPlan plan = split();
  EXPECT_EQ(plan.missing_positives, 2);
  EXPECT_EQ(plan.queries_without_positives, 1);
  EXPECT_EQ(plan.groups.back().queries, 2);
}

TEST_F(SplitSourceTest, RefusesDepthBeyondWhatAQueryCanBeGiven) {
  EXPECT_THAT(message_of<ConfigError>([&] { split(2); }),
              AllOf(HasSubstr("depth"), HasSubstr("dataset 9, task 0"), HasSubstr("got 2 and 1 documents, 0 of them")));
  source_.tasks = {1};
  EXPECT_EQ(split(2).groups.size(), 1u);
  folder_.write("a.jsonl", query("9:1", 1, R"("9:11")", R"(, "exclude_cand_list": ["9:12", "9:21", "9:12", "9:77"])"));
  folder_.write("b.jsonl", query("9:2", 1, R"("9:11")"));
  EXPECT_THAT(message_of<ConfigError>([&] { split(2); }), HasSubstr("got 2 and 2 documents, 1 of them"));
}

TEST_F(SplitSourceTest, RefusesAMissingPoolOrQueries) {
  source_.pool = "none.jsonl";
  EXPECT_THAT(message_of<DataError>([&] { split(); }), HasSubstr("none.jsonl"));
  source_.pool = "pool.jsonl";
  source_.queries = {"absent.jsonl"};
  EXPECT_THAT(message_of<DataError>([&] { split(); }), HasSubstr("absent.jsonl"));
}

}  // namespace
}  // namespace trireme
