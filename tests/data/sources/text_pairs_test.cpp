#include "data/sources/text_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "data/sources/candidate_pool.h"
#include "data/sources/image_views.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TextPairsTest : public ::testing::Test {
 protected:
  TextPairSource open(SourceKind kind, std::string_view content) {
    SourceConfig config;
    config.kind = kind;
    config.files = {"pairs"};
    folder_.write("pairs", content);
    return TextPairSource(folder_.path(), config);
  }
  std::string refusal(SourceKind kind, std::string_view content) {
    return message_of<DataError>([&] { open(kind, content); });
  }
  static RandomStream stream() { return random_stream(1, "test"); }
  TempFolder folder_;
};

TEST_F(TextPairsTest, ReadsNliVerbatim) {
  const auto source = open(SourceKind::kNli,
                           "sent0,sent1,hard_neg\r\n"
                           "One Navy.,\"The \"\"Navy\"\", again\",No navy\r\n"
                           "\"two\nlines\",b ,\n");
  ASSERT_EQ(source.size(), 2);
  const TrainingPair first = source.read(0, stream(), 1);
  EXPECT_EQ(first.query.text, "One Navy.");
  EXPECT_EQ(first.target.text, "The \"Navy\", again");
  EXPECT_EQ(first.hard_negatives.at(0).text, "No navy");
  EXPECT_EQ(first.hard_negative_concepts, first.hard_negative_ids);
  const TrainingPair second = source.read(1, stream(), 0);
  EXPECT_EQ(second.query.text, "two\nlines");
  EXPECT_EQ(second.target.text, "b ");
  EXPECT_THAT(message_of<DataError>([&] { source.read(1, stream(), 1); }), HasSubstr("hard negatives; got 0"));
}

TEST_F(TextPairsTest, ReadsPlainPairs) {
  const auto source = open(SourceKind::kPairs, R"({"anchor": "dog", "positive": "hund", "concept": "1f415", "id": "x"})"
                                               "\n"
                                               R"({"anchor": "cat", "positive": "hund", "negative": "kuh"})");
  const TrainingPair first = source.read(0, stream(), 0), second = source.read(1, stream(), 1);
  EXPECT_EQ(first.query.id, "x");
  EXPECT_EQ(second.query.id, "pairs:2");
  EXPECT_EQ(first.concept_id, document_id("1f415"));
  EXPECT_EQ(first.target_id, second.target_id) << "equal texts are one document";
  EXPECT_EQ(second.concept_id, second.target_id);
  EXPECT_THAT(second.positive_ids, ElementsAre(second.target_id));
  EXPECT_EQ(source.identity(0, stream()).concept_id, first.concept_id);
}

RC_GTEST_PROP(CsvFields, AreReadBackAsRfc4180WritesThem, ()) {
  const auto text = rc::gen::container<std::string>(rc::gen::element('a', ' ', ',', '"', '\n', '\r', '\xc3', '\xa9'));
  const auto rows = *rc::gen::nonEmpty(
      rc::gen::container<std::vector<std::vector<std::string>>>(rc::gen::container<std::vector<std::string>>(3, text)));
  std::string file;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      file += i > 0 ? ",\"" : "\"";
      for (char c : row[i]) file += c == '"' ? std::string("\"\"") : std::string(1, c);
      file += '"';
    }
    file += *rc::gen::element<std::string>("\n", "\r\n");
  }
  const TempFolder folder;
  const LineIndex lines = LineIndex::of_csv(folder.write("f.csv", file));
  RC_ASSERT(lines.size() == std::ssize(rows));
  for (int64_t row = 0; row < lines.size(); ++row)
    RC_ASSERT(csv_fields(lines[row], "f.csv") == rows[static_cast<std::size_t>(row)]);
}

TEST_F(TextPairsTest, AQuoteInsideABareFieldIsItself) {
  const auto source = open(SourceKind::kNli,
                           "\xef\xbb\xbfsent0,sent1\r\n5\" nail,a nail of 5\"\r\n\"two\nlines\",\"5\"\" nail\"\r\n"
                           "say \"hi\", \"x\"\r\n\r\n");
  ASSERT_EQ(source.size(), 3);
  EXPECT_EQ(source.read(0, stream(), 0).query.text, "5\" nail");
  EXPECT_EQ(source.read(0, stream(), 0).target.text, "a nail of 5\"");
  EXPECT_EQ(source.read(1, stream(), 0).query.text, "two\nlines");
  EXPECT_EQ(source.read(1, stream(), 0).target.text, "5\" nail");
  EXPECT_EQ(source.read(2, stream(), 0).query.text, "say \"hi\"");
  EXPECT_EQ(source.read(2, stream(), 0).target.text, " \"x\"");
}

TEST_F(TextPairsTest, BlamesTheRecordWhoseQuotesAreWrong) {
  const std::string good = "sent0,sent1\na,b\n", more = "c,d\n\"e\",\"f\"\ng,h\n";
  EXPECT_THAT(refusal(SourceKind::kNli, good + "\"5\" nail\",x\n" + more),
              AllOf(HasSubstr("record 3]"), HasSubstr("got  nail\",x after it")));
  EXPECT_THAT(refusal(SourceKind::kNli, good + "x,\"open\n" + "c,d\n"),
              AllOf(HasSubstr("record 3]"), HasSubstr("quotes must be closed")));
  EXPECT_THAT(refusal(SourceKind::kNli, good + "caf\xe9,x\n" + more),
              AllOf(HasSubstr("record 3]"), HasSubstr("byte 0xe9 at 4"), HasSubstr("CSV UTF-8")));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0;sent1\na;b\n"),
              AllOf(HasSubstr("commas"), HasSubstr("got sent0;sent1")));
}

RC_GTEST_PROP(TextPairs, PairSizeIsThatOfThePairThatIsRead, ()) {
  const auto text = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', ' ', 'b')));
  const std::string anchor = *text, positive = *text;
  const TempFolder folder;
  folder.write("pairs", fmt::format(R"({{"anchor": "{}", "positive": "{}"}})", anchor, positive));
  SourceConfig config;
  config.kind = SourceKind::kPairs;
  config.files = {"pairs"};
  const TextPairSource source(folder.path(), config);
  RC_ASSERT(source.pair_size(0, random_stream(1, "test", 0)).text_bytes ==
            static_cast<int64_t>(anchor.size() + positive.size()));
}

TEST_F(TextPairsTest, RefusesBrokenFiles) {
  EXPECT_THAT(refusal(SourceKind::kNli, "a,b\nx,y\n"), AllOf(HasSubstr("sent0 and sent1"), HasSubstr("got a,b")));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\nx,y,z\n"), AllOf(HasSubstr("record 2"), HasSubstr("got 3")));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\nx,\n"), HasSubstr("must not be empty"));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\n\"x,y\n"), HasSubstr("quotes must be closed"));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\n\"x\"y,z\n"), HasSubstr("must end at a comma"));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\nx,\xff\n"), AllOf(HasSubstr("record 2"), HasSubstr("UTF-8")));
  EXPECT_THAT(refusal(SourceKind::kNli, "sent0,sent1\n"), HasSubstr("at least one pair"));
  EXPECT_THAT(refusal(SourceKind::kPairs, R"({"anchor": "x"})"), AllOf(HasSubstr("pairs:1]"), HasSubstr("positive")));
  EXPECT_THAT(refusal(SourceKind::kPairs, R"({"anchor": "", "positive": "y"})"), HasSubstr("must not be empty"));
}

TEST_F(TextPairsTest, ViewsPairEachImageWithItself) {
  SourceConfig config;
  config.kind = SourceKind::kViews;
  config.files = {"pictures"};
  folder_.write("pictures", R"({"id": "a", "img_path": "a.png", "concept": "dog"})"
                            "\n"
                            R"({"did": "9:2", "txt": "a dog", "img_path": "a.png"})"
                            "\n"
                            R"({"did": "9:3", "txt": "only text"})"
                            "\n"
                            R"({"did": "9:4", "txt": "a cat", "img_path": "b.png"})");
  const ImageViews source(folder_.path(), config);
  ASSERT_EQ(source.size(), 2);
  const TrainingPair pair = source.read(1, stream(), 0);
  EXPECT_EQ(pair.query.image, "b.png");
  EXPECT_EQ(pair.target.image, "b.png");
  EXPECT_EQ(pair.query.text, "");
  EXPECT_EQ(pair.target_id, document_id("9:4"));
  EXPECT_EQ(source.read(0, stream(), 0).concept_id, document_id("dog"));
  EXPECT_THAT(message_of<DataError>([&] { source.read(0, stream(), 1); }), HasSubstr("hard_negatives"));
  folder_.write("pictures", R"({"id": "a", "txt": "x"})");
  EXPECT_THAT(message_of<DataError>([&] { ImageViews(folder_.path(), config); }), HasSubstr("texts only"));
}

}  // namespace
}  // namespace trireme
