#include "data/sources/candidate_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

class CandidatePoolTest : public ::testing::Test {
 protected:
  CandidatePool open(std::string_view content) { return CandidatePool(folder_.write("pool.jsonl", content)); }
  std::string refusal(std::string_view content) {
    return message_of<DataError>([&] { open(content); });
  }
  TempFolder folder_;
};

TEST_F(CandidatePoolTest, FindsEveryCandidateByItsDid) {
  std::string lines;
  for (int i = 0; i < 1000; ++i)
    lines += fmt::format("{{\"did\": \"9:{}\", \"txt\": \"text {}\", \"img_path\": null, \"modality\": \"text\"}}\n",
                         i * 7, i);
  const CandidatePool pool = open(lines);
  ASSERT_EQ(pool.size(), 1000);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(pool.find(fmt::format("9:{}", i * 7)), i);
    EXPECT_EQ(pool.document_id(i), document_id(fmt::format("9:{}", i * 7)));
  }
  EXPECT_EQ(pool.read(3).record.text, "Text 3.");
  EXPECT_EQ(pool.find("9:1"), std::nullopt);
  EXPECT_EQ(pool.find(""), std::nullopt);
}

TEST_F(CandidatePoolTest, KnowsModalityAndConcept) {
  const CandidatePool pool =
      open(R"({"did": "1:1", "txt": "a", "img_path": "a.png", "modality": "image,text", "concept": "1f600"})"
           "\n"
           R"({"did": "1:2", "txt": "", "img_path": "b.png", "modality": "image"})");
  EXPECT_EQ(pool.modality(0), Modality::kImageText);
  EXPECT_EQ(pool.modality(1), Modality::kImage);
  EXPECT_EQ(pool.read(0).concept_key, "1f600");
  EXPECT_EQ(pool.read(1).concept_key, "");
}

TEST_F(CandidatePoolTest, RefusesBrokenLinesByNumber) {
  const std::string good = R"({"did": "1:1", "txt": "a"})"
                           "\n";
  EXPECT_THAT(refusal(good + R"({"id": "1:2", "txt": "a"})"), AllOf(HasSubstr("pool.jsonl:2]"), HasSubstr("did")));
  EXPECT_THAT(refusal(good + R"({"did": 7, "txt": "a"})"), HasSubstr("did must be a string; got 7"));
  EXPECT_THAT(refusal(good + R"({"did": "1:3"})"), HasSubstr("must have text or an image"));
  EXPECT_THAT(refusal(good + good), AllOf(HasSubstr("1:1 again"), HasSubstr("first at line 1")));
  EXPECT_THAT(refusal(good + R"({"did": "1:3", "img_path": "../a.png"})"), HasSubstr("without .."));
  EXPECT_THAT(refusal(good + R"({"did": "1:3", "txt": "a", "modality": "image"})"), HasSubstr("modality"));
  EXPECT_THAT(refusal(""), HasSubstr("empty file"));
}

}  // namespace
}  // namespace trireme
