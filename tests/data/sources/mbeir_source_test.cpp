#include "data/sources/mbeir_source.h"

#include <fstream>
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr const char* kInstructions =
    "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\n"
    "text\timage\tCOCO\t9\tFind the image\tShow it.\n"
    "text\ttext\tCOCO\t9\tFind the text\t\n"
    "image\ttext\tCOCO\t9\tDescribe it\t\n";
constexpr const char* kPool =
    R"({"did": "9:1", "txt": null, "img_path": "a.png", "modality": "image", "concept": "dog"}
{"did": "9:2", "txt": "a cat", "img_path": null, "modality": "text"}
{"did": "9:3", "txt": "a dog", "img_path": null, "modality": "text"}
{"did": "9:4", "txt": "a cow", "img_path": null, "modality": "text"}
)";
constexpr const char* kTextQuery =
    R"({"qid": "9:10", "query_txt": "a dog", "query_img_path": null, "query_modality": "text", )"
    R"("pos_cand_list": ["9:1"], "neg_cand_list": ["9:2", "9:4"], "task_id": 0})"
    "\n";
constexpr const char* kMixedQuery = R"({"qid": "9:11", "query_txt": "pets", "query_modality": "text", )"
                                    R"("pos_cand_list": ["9:1", "9:2", "9:3"], "task_id": 0})"
                                    "\n";
constexpr const char* kImageQuery =
    R"({"qid": "9:12", "query_txt": null, "query_img_path": "b.png", "query_modality": "image", )"
    R"("pos_cand_list": ["9:2"], "task_id": 3, "concept": "cat"})"
    "\n";

class MbeirSourceTest : public ::testing::Test {
 protected:
  MbeirSourceTest() {
    folder_.write("i.tsv", kInstructions);
    folder_.write("pool.jsonl", kPool);
    config_.files = {"q.jsonl"};
    config_.pool = "pool.jsonl";
    config_.instructions = "i.tsv";
  }
  MbeirSource open(std::string_view queries, const HardNegatives* negatives = nullptr) {
    folder_.write("q.jsonl", queries);
    return MbeirSource(folder_.path(), config_, std::make_shared<CandidatePool>(folder_.path() / "pool.jsonl"),
                       negatives);
  }
  std::string refusal(std::string_view queries) {
    return message_of<DataError>([&] { open(queries); });
  }
  static RandomStream stream(int64_t i) { return random_stream(1, "test", i); }

  TempFolder folder_;
  SourceConfig config_;
};

TEST_F(MbeirSourceTest, PutsTheQueryUnderAnInstructionOfThePositivesModality) {
  const auto source = open(kMixedQuery);
  std::map<std::string, std::set<std::string>> texts;
  for (int64_t i = 0; i < 100; ++i) {
    const TrainingPair pair = source.read(0, stream(i), 0);
    texts[pair.target.id].insert(pair.query.text);
    const PairIdentity identity = source.identity(0, stream(i));
    EXPECT_EQ(identity.target_id, pair.target_id);
    EXPECT_EQ(identity.concept_id, pair.concept_id);
    EXPECT_EQ(pair.target_id, document_id(pair.target.id));
  }
  EXPECT_THAT(texts["9:1"], UnorderedElementsAre("Find the image. pets.", "Show it. pets."));
  EXPECT_THAT(texts["9:2"], ElementsAre("Find the text. pets."));
  EXPECT_EQ(texts.size(), 3u);
}

RC_GTEST_PROP(MbeirSource, PairSizeIsThatOfThePairThatIsRead, ()) {
  const auto joined = [](const std::vector<std::string>& pieces) { return fmt::format("{}", fmt::join(pieces, "")); };
  const auto pieces = rc::gen::container<std::vector<std::string>>(
      rc::gen::element<std::string>("a", "Z", " ", "\\\"", ".", "?", "!", "\\r", "\\n", "\\t", "ß", "東"));
  const std::string query = "x" + joined(*pieces), document = joined(*pieces) + "y";
  const bool image = *rc::gen::arbitrary<bool>();
  const TempFolder folder;
  folder.write("i.tsv",
               "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\tprompt_3\n"
               "text\ttext\tCOCO\t9\tFind the text\tß?\t\" \"Quoted!\n"
               "image,text\ttext\tCOCO\t9\t  Find it. \t\t\n");
  folder.write("pool.jsonl", fmt::format(R"({{"did": "9:1", "txt": "{}", "modality": "text"}})", document));
  folder.write("q.jsonl", fmt::format(R"({{"qid": "9:10", "query_txt": "{}", "query_img_path": {}, )"
                                      R"("pos_cand_list": ["9:1"], "task_id": 1}})",
                                      query, image ? "\"a.png\"" : "null"));
  SourceConfig config;
  config.files = {"q.jsonl"};
  config.pool = "pool.jsonl";
  config.instructions = "i.tsv";
  if (*rc::gen::arbitrary<bool>()) config.instruction_choice = InstructionChoice::kNone;
  const MbeirSource source(folder.path(), config, std::make_shared<CandidatePool>(folder.path() / "pool.jsonl"),
                           nullptr);
  for (int64_t i = 0; i < 5; ++i) {
    const TrainingPair pair = source.read(0, random_stream(1, "test", i), 0);
    const PairSize size = source.pair_size(0, random_stream(1, "test", i));
    RC_ASSERT(size.text_bytes == static_cast<int64_t>(pair.query.text.size() + pair.target.text.size()));
    RC_ASSERT(size.images == int64_t{image});
  }
}

TEST_F(MbeirSourceTest, PairSizesAreKnownWithoutReadingTheFiles) {
  const auto source = open(std::string(kTextQuery) + kMixedQuery + kImageQuery);
  std::vector<int64_t> bytes;
  for (int64_t row = 0; row < source.size(); ++row) bytes.push_back(source.pair_size(row, stream(row)).text_bytes);
  for (const char* name : {"q.jsonl", "pool.jsonl"}) {
    // In place: the mapping shows what the file holds now.
    const auto path = folder_.path() / name;
    std::fstream(path, std::ios::in | std::ios::out) << std::string(std::filesystem::file_size(path), '!');
  }
  for (int64_t row = 0; row < source.size(); ++row)
    EXPECT_EQ(source.pair_size(row, stream(row)).text_bytes, bytes[static_cast<std::size_t>(row)]);
  EXPECT_THAT(message_of<DataError>([&] { source.read(0, stream(0), 0); }), HasSubstr("JSON")) << "reading would tell";
}

TEST_F(MbeirSourceTest, TakesAModalityThatContradictsTheContentWhenAllowed) {
  folder_.write("i.tsv", std::string(kInstructions) + "image,text\ttext\tCOCO\t9\tWhat is this\t\n");
  constexpr const char* kBoth = R"({"qid": "9:13", "query_txt": "", "query_img_path": "b.png", "query_modality": )"
                                R"("image,text", "pos_cand_list": ["9:2"], "task_id": 6})";
  EXPECT_THAT(refusal(kBoth), HasSubstr("allow_modality_mismatch"));
  config_.allow_modality_mismatch = true;
  const auto source = open(std::string(kTextQuery) + kBoth);
  EXPECT_EQ(source.modality_mismatches(), 1);
  EXPECT_EQ(source.read(1, stream(0), 0).query.text, "What is this.");
}

TEST_F(MbeirSourceTest, GivesCandidatesNoInstruction) {
  const auto source = open(kImageQuery);
  const TrainingPair pair = source.read(0, stream(0), 0);
  EXPECT_EQ(pair.target.text, "A cat.");
  EXPECT_EQ(pair.query.text, "Describe it.");
  EXPECT_EQ(pair.query.image, "b.png");
  EXPECT_EQ(pair.concept_id, document_id("cat"));
  EXPECT_THAT(pair.where, HasSubstr("q.jsonl:1"));
}

TEST_F(MbeirSourceTest, TheConceptIsTheQuerysThenTheTargetsThenTheTargetItself) {
  const auto source = open(std::string(kTextQuery) + kImageQuery + kMixedQuery);
  EXPECT_EQ(source.identity(0, stream(0)).concept_id, document_id("dog"));
  EXPECT_EQ(source.identity(1, stream(0)).concept_id, document_id("cat"));
  for (int64_t i = 0; i < 50; ++i) {
    const TrainingPair pair = source.read(2, stream(i), 0);
    EXPECT_EQ(pair.concept_id, document_id(pair.target.id == "9:1" ? "dog" : pair.target.id));
    EXPECT_THAT(pair.positive_ids, ElementsAre(document_id("9:1"), document_id("9:2"), document_id("9:3")));
  }
}

TEST_F(MbeirSourceTest, AFixedInstructionIsTheOneAskedFor) {
  config_.instruction_choice = InstructionChoice::kFixed;
  config_.prompt_number = 2;
  const auto source = open(kTextQuery);
  for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(source.read(0, stream(i), 0).query.text, "Show it. a dog.");
  config_.prompt_number = 3;
  EXPECT_THAT(message_of<ConfigError>([&] { open(kTextQuery); }), HasSubstr("from 1 to 2; got 3"));
}

TEST_F(MbeirSourceTest, WithoutInstructionsTheTextStandsAlone) {
  config_.instruction_choice = InstructionChoice::kNone;
  config_.instructions.reset();
  const auto source = open(std::string(kTextQuery) + kImageQuery);
  EXPECT_EQ(source.read(0, stream(0), 0).query.text, "A dog.");
  EXPECT_EQ(source.read(1, stream(0), 0).query.text, "");
}

TEST_F(MbeirSourceTest, KeepsTheTasksAskedForAndGroupsThem) {
  config_.group_by = GroupBy::kDatasetAndTask;
  const std::string all = std::string(kTextQuery) + kImageQuery + kMixedQuery;
  const auto both = open(all);
  EXPECT_THAT(both.groups(), ElementsAre("dataset9_task0", "dataset9_task3"));
  EXPECT_EQ(both.group_of(1), 1);
  config_.tasks = {3};
  const auto one = open(all);
  EXPECT_EQ(one.size(), 1);
  config_.tasks = {8};
  EXPECT_THAT(refusal(all), HasSubstr("check files and tasks"));
}

TEST_F(MbeirSourceTest, DrawsHardNegativesButNoPositive) {
  class Listed : public HardNegatives {
   public:
    std::vector<std::string> of(std::string_view qid) const override {
      return qid == "9:11" ? std::vector<std::string>{"9:1", "9:4", "9:2"} : std::vector<std::string>{};
    }
    bool covers(std::string_view) const override { return true; }
  } listed;
  const auto own = open(kTextQuery);
  const TrainingPair pair = own.read(0, stream(0), 2);
  ASSERT_EQ(pair.hard_negatives.size(), 2u);
  EXPECT_EQ(pair.hard_negative_ids[0], document_id(pair.hard_negatives[0].id));
  EXPECT_EQ(pair.hard_negative_concepts, pair.hard_negative_ids) << "these documents name no concept";
  EXPECT_EQ(own.read(0, stream(0), 0).query.text, pair.query.text);
  EXPECT_THAT(message_of<DataError>([&] { own.read(0, stream(0), 3); }), HasSubstr("got 2"));

  const auto mined = open(kMixedQuery, &listed);
  EXPECT_EQ(mined.read(0, stream(0), 1).hard_negatives.at(0).id, "9:4");
  EXPECT_THAT(message_of<DataError>([&] { mined.read(0, stream(0), 2); }),
              AllOf(HasSubstr("9:11"), HasSubstr("must have 2 hard negatives"), HasSubstr("got 1")));
}

TEST_F(MbeirSourceTest, HardNegativesBringTheirConcepts) {
  const auto source = open(R"({"qid": "9:20", "query_txt": "a cat", "query_modality": "text", "task_id": 1, )"
                           R"("pos_cand_list": ["9:2"], "neg_cand_list": ["9:1", "9:4"]})");
  const TrainingPair pair = source.read(0, stream(0), 2);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string concept_key = pair.hard_negatives[i].id == "9:1" ? "dog" : pair.hard_negatives[i].id;
    EXPECT_EQ(pair.hard_negative_concepts[i], document_id(concept_key));
  }
}

TEST_F(MbeirSourceTest, APositiveOutsideThePoolIsRefusedOrCounted) {
  const std::string foreign = R"({"qid": "9:13", "query_txt": "x", "pos_cand_list": ["5:1", "9:2"], "task_id": 1})"
                              "\n"
                              R"({"qid": "9:14", "query_txt": "x", "pos_cand_list": ["6:1"], "task_id": 1})";
  EXPECT_THAT(refusal(kTextQuery + foreign), AllOf(HasSubstr("q.jsonl:2]"), HasSubstr("5:1"), HasSubstr("pool.jsonl"),
                                                   HasSubstr("allow_missing_positives")));
  config_.allow_missing_positives = true;
  const auto source = open(kTextQuery + foreign);
  EXPECT_EQ(source.size(), 2);
  EXPECT_EQ(source.missing_positives(), 2);
  EXPECT_EQ(source.dropped_queries(), 1);
  EXPECT_EQ(source.read(1, stream(0), 0).target.id, "9:2");
}

TEST_F(MbeirSourceTest, RefusesWhatAQueryMustNotBe) {
  EXPECT_THAT(refusal(R"({"qid": "9:1", "query_txt": "x", "pos_cand_list": ["9:2"], "task_id": 5})"),
              AllOf(HasSubstr("task_id"), HasSubstr("got 5")));
  EXPECT_THAT(refusal(R"({"qid": "9:1", "query_txt": "x", "pos_cand_list": [], "task_id": 0})"),
              HasSubstr("must have a positive"));
  EXPECT_THAT(refusal(R"({"query_txt": "x", "pos_cand_list": ["9:2"], "task_id": 0})"), HasSubstr("qid"));
  EXPECT_THAT(refusal(R"({"qid": "9:1", "query_img_path": "b.png", "pos_cand_list": ["9:1"], "task_id": 4})"),
              AllOf(HasSubstr("i.tsv"), HasSubstr("dataset 9, query image, candidate image")));
}

}  // namespace
}  // namespace trireme
