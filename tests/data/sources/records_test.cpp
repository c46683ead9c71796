#include "data/sources/records.h"

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

constexpr const char* kInstructions =
    "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
    "text\timage\tVisualNews\t0\tFind the image\tShow it.\n"
    "image,text\ttext\tOVEN\t5\tAnswer this\t\n";

class RecordsTest : public ::testing::Test {
 protected:
  RecordFile open(std::string_view content, int64_t prompt_number = 1) {
    RecordOptions options{{}, prompt_number};
    options.instructions.emplace(folder_.write("instructions.tsv", kInstructions));
    return RecordFile(folder_.write("r.jsonl", content), options);
  }
  std::string refusal(std::string_view content) {
    return message_of<DataError>([&] { open(content); });
  }
  TempFolder folder_;
};

TEST_F(RecordsTest, ReadsPlainRecordsVerbatim) {
  const auto file = open(R"({"id": "a", "txt": " as it is ", "img_path": null, "other": [1, {"x": 2}]})"
                         "\n"
                         R"({"id": "b", "img_path": "x/y.png", "txt": ""})");
  ASSERT_EQ(file.size(), 2);
  EXPECT_EQ(file.read(0).text, " as it is ");
  EXPECT_EQ(file.read(0).image, "");
  EXPECT_EQ(file.read(1).id, "b");
  EXPECT_EQ(file.read(1).text, "");
  EXPECT_EQ(file.read(1).image, "x/y.png");
  EXPECT_EQ(file.first_image_row(), 1);
}

TEST_F(RecordsTest, ReadsMBeirCandidatesAndQueries) {
  const auto file = open(
      R"({"did": "0:7", "txt": "a \"dog\"", "img_path": "", "modality": "text", "src_content": null})"
      "\n"
      R"({"qid": "0:1", "query_txt": "a dog", "query_img_path": null, "query_modality": "text", "task_id": 0})"
      "\n"
      R"({"qid": "5:2", "query_txt": "who?", "query_img_path": "i.jpg", "query_modality": "image,text", "task_id": 6})"
      "\n");
  EXPECT_EQ(file.read(0).text, "A \"dog.");
  EXPECT_EQ(file.read(1).text, "Find the image. a dog.");
  EXPECT_EQ(file.read(2).text, "Answer this. who?");
  EXPECT_EQ(file.read(2).image, "i.jpg");
}

TEST_F(RecordsTest, TakesThePromptThatIsAskedFor) {
  constexpr auto kQuery = R"({"qid": "0:1", "query_txt": "a dog", "task_id": 0})";
  EXPECT_EQ(open(kQuery, 2).read(0).text, "Show it. a dog.");
  EXPECT_THAT(message_of<ConfigError>([&] { open(kQuery, 3); }), HasSubstr("from 1 to 2; got 3"));
}

TEST_F(RecordsTest, KeepsSomeOfItsRowsWithTheLinesTheyCameFrom) {
  RecordFile file = open(
      "{\"id\": \"a\", \"img_path\": \"a.png\"}\n{\"id\": \"b\", \"txt\": \"x\"}\n"
      "{\"id\": \"c\", \"txt\": \"y\"}\n");
  file.keep({1, 2});
  EXPECT_EQ(file.size(), 2);
  EXPECT_EQ(file.read(1).id, "c");
  EXPECT_THAT(file.where(1), HasSubstr("r.jsonl:3"));
  EXPECT_EQ(file.first_image_row(), std::nullopt);
  file.keep({1});
  EXPECT_EQ(file.read(0).id, "c");
}

TEST_F(RecordsTest, TakesJsonAsPythonWritesIt) {
  const RecordFile file = open(
      R"({"id": "a", "txt": "x", "n": 123456789012345678901, "score": NaN, "m": [-Infinity, 1e999, {"n": Infinity}]})"
      "\n"
      R"({"id": "b", "txt": "y", "cut": "\ud83d", "\udc00": 1})");
  ASSERT_EQ(file.size(), 2);
  EXPECT_EQ(file.read(0).id, "a");
  EXPECT_EQ(file.read(0).text, "x");
  EXPECT_EQ(file.read(1).text, "y");
}

TEST_F(RecordsTest, NamesSuchValuesWhereTheyAreRead) {
  EXPECT_THAT(refusal(R"({"id": "a", "txt": NaN})"), HasSubstr("txt must be a string or null; got NaN;"));
  EXPECT_THAT(refusal(R"({"id": 123456789012345678901, "txt": "x"})"),
              HasSubstr("id must be a string; got 123456789012345678901;"));
  EXPECT_THAT(refusal(R"({"id": "a", "txt": "\ud83d"})"), HasSubstr(R"(got "\ud83d")"));
  EXPECT_THAT(refusal(R"({"qid": "0:1", "query_txt": "x", "task_id": 4.0})"), HasSubstr("integer task_id; got 4.0"));
  EXPECT_THAT(refusal(R"({"qid": "0:1", "query_txt": "x", "task_id": 98765432109876543210})"),
              HasSubstr("integer task_id; got 98765432109876543210"));
}

TEST_F(RecordsTest, TakesByteOrderMarkCrlfAndBlankLinesAtTheEnd) {
  const RecordFile file =
      open("\xef\xbb\xbf{\"id\": \"a\", \"txt\": \"x\"}\r\n{\"id\": \"b\", \"txt\": \"y\"}\r\n\r\n \n");
  ASSERT_EQ(file.size(), 2);
  EXPECT_EQ(file.read(0).id, "a");
  EXPECT_EQ(file.read(1).text, "y");
}

TEST_F(RecordsTest, NamesWhatIsNoJsonLines) {
  EXPECT_THAT(refusal("[\n  {\n    \"id\": \"a\"\n  }\n]\n"),
              AllOf(HasSubstr("r.jsonl:1]"), HasSubstr("an array without its end"), HasSubstr("jq -c '.[]'")));
  EXPECT_THAT(refusal("{\"id\": \"a\", \"txt\": \"x\"},\n{\"id\": \"b\"}\n"), HasSubstr("a value and a comma"));
  EXPECT_THAT(refusal("{'id': 'a', 'txt': None}\n"), HasSubstr("a Python literal"));
  EXPECT_THAT(refusal(std::string("\xff\xfe{\0\"\0", 6)), HasSubstr("got UTF-16 text"));
  EXPECT_THAT(refusal("{\"id\": \"a\"}\r{\"id\": \"b\"}\r"), HasSubstr("carriage returns alone"));
  EXPECT_THAT(refusal("{\"id\": \"a\", \"txt\": \"x\"}\n\n{\"id\": \"b\", \"txt\": \"x\"}\n"),
              AllOf(HasSubstr("r.jsonl:2]"), HasSubstr("an empty line")));
  EXPECT_THAT(refusal("{\"id\": \"a\\u0000b\", \"txt\": \"x\"}"), HasSubstr("no zero character; got a\\x00b"));
}

TEST_F(RecordsTest, VisitsEveryRecordOnce) {
  std::vector<std::string> ids;
  const RecordFile file(folder_.write("v.jsonl", "{\"id\": \"a\", \"txt\": \"x\"}\n{\"id\": \"b\", \"txt\": \"y\"}\n"),
                        {}, [&](int64_t row, const Record& record) {
                          EXPECT_EQ(row, std::ssize(ids));
                          ids.push_back(record.id);
                        });
  EXPECT_THAT(ids, ::testing::ElementsAre("a", "b"));
}

TEST_F(RecordsTest, TakesAModalityThatContradictsTheContentWhenAllowed) {
  constexpr const char* kLines =
      R"({"qid": "5:2", "query_txt": null, "query_img_path": "i.jpg", "query_modality": "image,text", "task_id": 6})"
      "\n"
      R"({"qid": "5:3", "query_txt": "who?", "query_img_path": "i.jpg", "query_modality": "image,text", "task_id": 6})"
      "\n"
      R"({"did": "5:4", "txt": "a text", "img_path": null, "modality": "image,text"})";
  EXPECT_THAT(refusal(kLines), AllOf(HasSubstr("r.jsonl:1]"), HasSubstr("allow_modality_mismatch")));
  RecordOptions options;
  options.instructions.emplace(folder_.write("instructions.tsv", kInstructions));
  options.allow_modality_mismatch = true;
  const RecordFile file(folder_.write("r.jsonl", kLines), std::move(options));
  EXPECT_EQ(file.modality_mismatches(), 2);
  EXPECT_EQ(file.read(0).text, "Answer this.") << "the instruction of image,text, as UniIR takes it";
  EXPECT_EQ(file.read(0).image, "i.jpg");
  EXPECT_EQ(file.read(1).text, "Answer this. who?");
  EXPECT_EQ(file.read(2).text, "A text.");
}

TEST_F(RecordsTest, RefusesBrokenLinesByNumber) {
  const std::string good = R"({"id": "a", "txt": "x"})"
                           "\n";
  EXPECT_THAT(refusal(good + "{nonsense\n"), AllOf(HasSubstr("r.jsonl:2]"), HasSubstr("JSON")));
  EXPECT_THAT(refusal(good + "\n" + good), AllOf(HasSubstr("r.jsonl:2]"), HasSubstr("empty line")));
  EXPECT_THAT(refusal(good + "[1]\n"), HasSubstr("must be a JSON object; got [1]"));
  EXPECT_THAT(refusal(good + "{\"id\": \"b\", \"txt\": \"\xff\"}\n"), AllOf(HasSubstr(":2]"), HasSubstr("UTF-8")));
  EXPECT_THAT(refusal(good + std::string(100, '[') + "\n"), HasSubstr("nested at most 32 deep"));
  EXPECT_THAT(refusal(""), HasSubstr("got an empty file"));
  EXPECT_THAT(message_of<DataError>([&] { RecordFile(folder_.path() / "none.jsonl", {}); }), HasSubstr("none.jsonl"));
}

TEST_F(RecordsTest, RefusesWrongIds) {
  EXPECT_THAT(refusal(R"({"txt": "x"})"), HasSubstr("must have an id"));
  EXPECT_THAT(refusal(R"({"id": 3, "txt": "x"})"), HasSubstr("id must be a string; got 3"));
  EXPECT_THAT(refusal(R"({"id": "", "txt": "x"})"), HasSubstr("must not be empty"));
  EXPECT_THAT(refusal(R"({"id": "a", "did": "0:1", "txt": "x"})"), HasSubstr("got id and did"));
  EXPECT_THAT(
      refusal("{\"id\": \"a\", \"txt\": \"x\"}\n{\"id\": \"b\", \"txt\": \"x\"}\n{\"id\": \"a\", \"txt\": \"y\"}\n"),
      AllOf(HasSubstr("r.jsonl:3]"), HasSubstr("got a again, first at line 1")));
}

TEST_F(RecordsTest, RefusesRecordsThatHoldNothingOrContradictThemselves) {
  EXPECT_THAT(refusal(R"({"id": "a", "txt": null})"), HasSubstr("got neither"));
  EXPECT_THAT(refusal(R"({"id": "a", "txt": 7})"), HasSubstr("txt must be a string or null; got 7"));
  EXPECT_THAT(refusal(R"({"did": "0:1", "txt": "x", "modality": "image"})"), HasSubstr("modality"));
  EXPECT_THAT(refusal(R"({"did": "0:1", "txt": "x", "modality": "video"})"), HasSubstr("got video"));
  EXPECT_THAT(refusal(R"({"qid": "0:1", "query_txt": "x", "task_id": 5})"), HasSubstr("task_id must be one of"));
  EXPECT_THAT(refusal(R"({"qid": "0:1", "query_txt": "x"})"), HasSubstr("integer task_id"));
  EXPECT_THAT(refusal(R"({"qid": "q1", "query_txt": "x", "task_id": 0})"), HasSubstr("dataset:number; got q1"));
  EXPECT_THAT(refusal(R"({"qid": "9:1", "query_txt": "x", "task_id": 0})"),
              HasSubstr("dataset 9, query text, candidate image"));
}

TEST_F(RecordsTest, RefusesQueriesWithoutInstructions) {
  const auto path = folder_.write("q.jsonl", R"({"qid": "0:1", "query_txt": "x", "task_id": 0})");
  EXPECT_THAT(message_of<DataError>([&] { RecordFile(path, {}); }), HasSubstr("query_instructions.tsv"));
}

TEST_F(RecordsTest, RefusesImagesOutsideTheRoot) {
  EXPECT_THAT(refusal(R"({"id": "a", "img_path": "../x.png"})"), HasSubstr("got ../x.png"));
  EXPECT_THAT(refusal(R"({"id": "a", "img_path": "x/../../y.png"})"), HasSubstr("without .."));
  EXPECT_THAT(refusal(R"({"id": "a", "img_path": "/etc/passwd"})"), HasSubstr("must be relative"));

  folder_.write("root/in.png", "x");
  folder_.write("out.png", "x");
  const auto root = folder_.path() / "root";
  std::filesystem::create_symlink(folder_.path() / "out.png", root / "link.png");
  std::filesystem::create_symlink(root / "in.png", root / "fine.png");
  EXPECT_EQ(resolve_image(root, "fine.png", "w"), std::filesystem::canonical(root / "in.png"));
  EXPECT_THAT(message_of<DataError>([&] { resolve_image(root, "link.png", "w"); }),
              AllOf(HasSubstr("link.png"), HasSubstr("follow_links")));
  EXPECT_EQ(resolve_image({root, true}, "link.png", "w"), std::filesystem::canonical(folder_.path() / "out.png"));
  EXPECT_THAT(message_of<DataError>([&] { resolve_image({root, true}, "../out.png", "w"); }), HasSubstr("without .."));
  std::filesystem::create_symlink(folder_.path() / "gone.png", root / "dangling.png");
  EXPECT_THAT(message_of<DataError>([&] {
                resolve_image({root, true}, "dangling.png", "w");
              }),
              HasSubstr("dangling.png"));
  EXPECT_THAT(message_of<DataError>([&] { resolve_image(root, "none.png", "w"); }), HasSubstr("check image_root"));
}

TEST_F(RecordsTest, RefusesBrokenInstructionTables) {
  EXPECT_THAT(message_of<DataError>([&] { InstructionTable(folder_.write("a.tsv", "h\ntext\timage\n")); }),
              AllOf(HasSubstr("a.tsv:2]"), HasSubstr("got 2 columns")));
  EXPECT_THAT(message_of<DataError>([&] { InstructionTable(folder_.write("b.tsv", "h\ntext\timage\tx\ty\tp\n")); }),
              HasSubstr("dataset_id must be a number; got y"));
}

}  // namespace
}  // namespace trireme
