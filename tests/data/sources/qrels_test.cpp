#include "data/sources/qrels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class QrelsTest : public ::testing::Test {
 protected:
  Qrels open(std::string_view content) {
    const std::filesystem::path file = folder_.write("t_qrels.txt", content);
    return Qrels(std::span(&file, 1));
  }
  std::string refusal(std::string_view content) {
    return message_of<DataError>([&] { open(content); });
  }
  TempFolder folder_;
};

TEST_F(QrelsTest, TakesAByteOrderMarkAndNamesUtf16) {
  EXPECT_THAT(open("\xef\xbb\xbf"
                   "5:2 0 6:9 1 8\r\n")
                  .queries(),
              ElementsAre("5:2"));
  EXPECT_THAT(refusal(std::string("\xff\xfe"
                                  "5\0:\0",
                                  6)),
              HasSubstr("got UTF-16 text"));
}

TEST_F(QrelsTest, KeepsRelevantDocumentsInOrder) {
  const Qrels qrels = open("5:2 0 6:9 1 8\n5:1\t0\t5:7\t0\t8\n5:2 0 5:3  2 8\r\n5:2 0 5:3 2 8");
  EXPECT_THAT(qrels.queries(), ElementsAre("5:2", "5:1"));
  ASSERT_EQ(qrels.relevant("5:2").size(), 2u);
  EXPECT_EQ(qrels.relevant("5:2")[0].did, "6:9");
  EXPECT_EQ(qrels.relevant("5:2")[1].relevance, 2);
  EXPECT_TRUE(qrels.relevant("5:1").empty());
  EXPECT_TRUE(qrels.relevant("5:99").empty());
  EXPECT_EQ(qrels.task("5:2"), 8);
  EXPECT_EQ(open("q 0 d 1\n").task("q"), std::nullopt);
}

// A second judgement of a document is seen however many lie between: what few judgements are looked for in is not what
// many are.
TEST_F(QrelsTest, ADocumentJudgedTwiceIsSeenAmongAnyNumber) {
  for (const int64_t judged : {1, 15, 16, 17, 18, 1000}) {
    std::string lines;
    for (int64_t i = 0; i < judged; ++i) lines += fmt::format("q 0 d{} {}\n", i, i % 3);
    for (const int64_t again : {int64_t{0}, judged / 2, judged - 1}) {
      const Qrels qrels = open(lines + fmt::format("q 0 d{} {}\nq 0 new 1\n", again, again % 3));
      EXPECT_EQ(std::ssize(qrels.relevant("q")), judged - (judged + 2) / 3 + 1) << judged;
      EXPECT_EQ(qrels.relevant("q").back().did, "new");
      EXPECT_THAT(refusal(lines + fmt::format("q 0 d{} 7\n", again)),
                  AllOf(HasSubstr("one relevance"), HasSubstr(fmt::format("d{}", again)),
                        HasSubstr(fmt::format(":{}]", judged + 1))));
    }
  }
}

// A million judgements of one query: time that grows with their square would be a quarter of an hour.
TEST_F(QrelsTest, AnyNumberOfJudgementsOfOneQueryIsRead) {
  constexpr int64_t kJudged = 1'000'000;
  std::string lines;
  for (int64_t i = 0; i < kJudged; ++i) lines += fmt::format("q 0 d{} {}\n", i, i % 2);
  EXPECT_EQ(std::ssize(open(lines).relevant("q")), kJudged / 2);
}

TEST_F(QrelsTest, RefusesBrokenLines) {
  EXPECT_THAT(refusal("q 0 d\n"), AllOf(HasSubstr("t_qrels.txt:1]"), HasSubstr("got 3 columns")));
  EXPECT_THAT(refusal("q 0 d 1\nq 0 e x\n"), AllOf(HasSubstr(":2]"), HasSubstr("relevance must be an integer; got x")));
  EXPECT_THAT(refusal("q 0 d 1 5\n"), AllOf(HasSubstr("task_id"), HasSubstr("got 5")));
  EXPECT_THAT(refusal("q 0 d 1\nq 0 d 2\n"), HasSubstr("one relevance"));
  EXPECT_THAT(refusal(""), HasSubstr("empty file"));
}

TEST_F(QrelsTest, ADocumentOutsideThePoolIsRefusedOrCounted) {
  const Qrels qrels = open("5:1 0 5:3 1 8\n5:2 0 6:9 1 8\n5:2 0 5:3 1 8\n5:4 0 6:8 1 8\n5:4 0 6:7 0 8\n");
  const auto local = [](std::string_view did) { return did.starts_with("5:"); };
  EXPECT_THAT(message_of<DataError>([&] { qrels.check_pool(local, "local.jsonl", false); }),
              AllOf(HasSubstr("t_qrels.txt:2]"), HasSubstr("6:9"), HasSubstr("5:2"), HasSubstr("local.jsonl")));
  const MissingJudgements missing = qrels.check_pool(local, "local.jsonl", true);
  EXPECT_EQ(missing.judgements, 2);
  EXPECT_EQ(missing.queries, 2);
  EXPECT_EQ(missing.unreachable, 1);
}

}  // namespace
}  // namespace trireme
