#include "data/preparation/prepare.h"

#include <ATen/Parallel.h>

#include "data/sources/records.h"
#include "tests/data/preparation/dataset_checks.h"
#include "tests/data/preparation/package_tree.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class PreparePictograms : public testing::Test {
 protected:
  PictogramsOptions options(const fs::path& name = "data") const {
    return {.out = folder_.path() / name, .package_root = tree_.root(), .check_counts = false};
  }
  fs::path data() const { return folder_.path() / "data"; }
  std::string refusal(const PictogramsOptions& asked) const {
    return message_of<DataError>([&] { prepare_pictograms(asked); });
  }
  /// The queries of a test file whose text or picture holds `part`.
  Json query(const std::string& file, const std::string& part) const {
    for (const Json& record : lines_of(data() / "query" / file)) {
      if (record.dump().find(part) != std::string::npos) return record;
    }
    ADD_FAILURE() << "no " << part << " in " << file;
    return {};
  }

  PackageTree tree_;
  TempFolder folder_;
};

TEST_F(PreparePictograms, SamePackagesGiveTheSameBytes) {
  prepare_pictograms(options("one"));
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  prepare_pictograms(options("two"));
  at::set_num_threads(threads);
  const auto one = contents_of(folder_.path() / "one"), two = contents_of(folder_.path() / "two");
  EXPECT_EQ(one, two);
  EXPECT_GT(one.size(), 40);
}

TEST_F(PreparePictograms, ASecondRunVerifiesAndWritesNothing) {
  const PreparedPictograms first = prepare_pictograms(options());
  EXPECT_FALSE(first.was_there);
  const auto before = fs::last_write_time(data() / "manifest.json");
  const PreparedPictograms second = prepare_pictograms(options());
  EXPECT_TRUE(second.was_there);
  EXPECT_EQ(second.manifest.sha256, first.manifest.sha256);
  EXPECT_EQ(fs::last_write_time(data() / "manifest.json"), before);
}

TEST_F(PreparePictograms, RefusesAFolderThatWasChangedSince) {
  prepare_pictograms(options());
  std::ofstream(data() / "tasks.yaml", std::ios::app) << "\n";
  fs::remove(data() / "NOTICE");
  EXPECT_THAT(refusal(options()), AllOf(HasSubstr("\"NOTICE\" is missing"), HasSubstr("1 more")));
}

TEST_F(PreparePictograms, RefusesAFileTooMany) {
  prepare_pictograms(options());
  std::ofstream(data() / "query" / "mine.jsonl") << "{}\n";
  EXPECT_THAT(refusal(options()), HasSubstr("query/mine.jsonl"));
}

TEST_F(PreparePictograms, RefusesADatasetOfOtherPackageVersions) {
  prepare_pictograms(options());
  tree_.write("var/lib/dpkg/status", "Package: fonts-symbola\nVersion: 3.00-1\n");
  EXPECT_THAT(refusal(options()), HasSubstr("fonts-symbola 3.00-1"));
}

TEST_F(PreparePictograms, RefusesAFolderOfOtherThings) {
  folder_.write("data/notes.txt", "mine");
  EXPECT_THAT(refusal(options()), HasSubstr("other files"));
  EXPECT_TRUE(fs::exists(data() / "notes.txt"));
}

TEST_F(PreparePictograms, NamesTheMissingPackagesWithTheAptLine) {
  tree_.remove("usr/share/wordnet");
  tree_.remove("usr/share/rubygems-integration");
  const std::string message = refusal(options());
  EXPECT_THAT(message, HasSubstr("ruby-gemojione wordnet-base; run: apt-get install"));
  EXPECT_THAT(message, HasSubstr("ruby-gemojione wordnet-base librsvg2-bin"));
  EXPECT_THAT(message, Not(HasSubstr("fonts-symbola")));
  EXPECT_FALSE(fs::exists(data()));
}

TEST_F(PreparePictograms, RefusesOtherCountsUnlessTold) {
  PictogramsOptions asked = options();
  asked.check_counts = true;
  EXPECT_THAT(refusal(asked), AllOf(HasSubstr("pictures by Noto 3 / 2 / 3 instead of 1129 / 166 / 306"),
                                    HasSubstr("--no-check-counts")));
  EXPECT_TRUE(fs::is_empty(folder_.path()));  // nothing half written
}

TEST_F(PreparePictograms, LeavesNothingBehindWhenASourceIsDamaged) {
  tree_.write("usr/share/tuxpaint/stamps/animals/skull.png", "no picture");
  EXPECT_THAT(refusal(options()), HasSubstr("skull.png"));
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(PreparePictograms, CountsWhatItFound) {
  const PreparedPictograms prepared = prepare_pictograms(options());
  std::vector<std::string> rows;
  for (const SplitCounts& row : prepared.manifest.counts)
    rows.push_back(fmt::format("{} {} {} {}", row.what, row.train, row.val, row.test));
  EXPECT_THAT(rows,
              ElementsAre("concepts (families of emoji) 3 1 3", "pictures by Noto 3 2 3", "pictures by EmojiOne 1 1 1",
                          "pictures by Symbola 1 0 1", "drawn by all three 1 0 1", "ordered pairs of artists 6 2 6",
                          "ordered pairs of skin tones 30 0 0", "stamps 0 0 1"));
}

TEST_F(PreparePictograms, LeavesOutADrawingThatStandsForTwoConcepts) {
  const PreparedPictograms prepared = prepare_pictograms(options());
  EXPECT_THAT(prepared.manifest.notes,
              testing::Contains(HasSubstr("draws \"big eyes\" as it draws \"grinning face\"")));
  EXPECT_FALSE(fs::exists(data() / "mbeir_images/pictograms_images/noto/1f603.png"));
  EXPECT_TRUE(fs::exists(data() / "mbeir_images/pictograms_images/noto/1f600.png"));
}

TEST_F(PreparePictograms, DrawsSvgStampsWhereTheConverterIs) {
  const PreparedPictograms without = prepare_pictograms(options("without"));
  EXPECT_THAT(without.manifest.notes, testing::Contains(HasSubstr("1 stamps are SVG and left out")));
  tree_.add_svg_converter();
  const PreparedPictograms with = prepare_pictograms(options());
  EXPECT_TRUE(fs::exists(data() / "mbeir_images/stamps_images/food/apple.png"));
  EXPECT_EQ(with.manifest.sources.size(), without.manifest.sources.size() + 1);
}

TEST_F(PreparePictograms, AStampNamedAsAnEmojiIsOfItsFamily) {
  prepare_pictograms(options());
  EXPECT_EQ(query("test/mbeir_stamps_caption_to_stamp_task0_test.jsonl", "A skull.").at("concept"), "1f480");
}

TEST_F(PreparePictograms, EveryTaskIsSoundAndNothingLeaks) {
  prepare_pictograms(options());
  const TaskList list = read_task_list(data());
  EXPECT_GT(list.tasks.size(), 30);
  for (const EvalTask& task : list.tasks) expect_sound(data(), task);
  expect_no_leak(data());
}

TEST_F(PreparePictograms, EveryRecordIsReadable) {
  prepare_pictograms(options());
  const InstructionTable instructions(data() / "instructions/query_instructions.tsv");
  int64_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(data())) {
    const std::string path = entry.path().lexically_relative(data()).string();
    const bool holds_records = path.starts_with("query/") || path.starts_with("cand_pool/") || path.starts_with("pict");
    if (!entry.is_regular_file() || !holds_records || entry.file_size() == 0) continue;
    RecordOptions record_options;
    record_options.instructions = instructions;
    const RecordFile file(entry.path(), record_options);
    for (int64_t row = 0; row < file.size(); ++row) EXPECT_FALSE(file.read(row).id.empty());
    ++files;
  }
  EXPECT_GT(files, 40);
}

TEST_F(PreparePictograms, QueriesAskWhatTheirTaskSays) {
  prepare_pictograms(options());
  const Json outline = query("test/mbeir_pictograms_style_task7_test.jsonl", "as a black outline");
  EXPECT_EQ(outline.at("query_img_path"), "mbeir_images/pictograms_images/noto/1f480.png");
  EXPECT_EQ(outline.at("exclude_cand_list").size(), 2);  // its own picture, alone and with keywords
  const Json german = query("test/mbeir_pictograms_noto_to_languages_task6_test.jsonl", "its name in German");
  EXPECT_EQ(german.at("query_modality"), "image,text");
  const Json tone = query("train/mbeir_pictograms_tone_task7_train.jsonl", "with dark skin tone");
  EXPECT_EQ(tone.at("concept"), "1f44b");
  const Json keywords = query("train/mbeir_pictograms_task0_train.jsonl", "face & grin");
  EXPECT_EQ(keywords.at("pos_cand_list").size(), 3);  // all artists
}

TEST_F(PreparePictograms, TheReducedTrainingSetNeverSawSymbola) {
  prepare_pictograms(options());
  std::map<std::string, std::string> style;
  for (const Json& candidate : lines_of(data() / "cand_pool/global/mbeir_union_train_cand_pool.jsonl"))
    style[candidate.at("did")] = candidate.value("style", "");
  const auto uses_symbola = [&](const fs::path& file) {
    for (const Json& record : lines_of(file)) {
      if (record.value("style", "") == "symbola") return true;
      for (const Json& did : record.at("pos_cand_list")) {
        if (style.at(did) == "symbola") return true;
      }
    }
    return false;
  };
  for (const auto& entry : fs::directory_iterator(data() / "query/train_without_symbola"))
    EXPECT_FALSE(uses_symbola(entry.path())) << entry.path();
  EXPECT_FALSE(uses_symbola(data() / "query/union_train/mbeir_union_without_symbola_train.jsonl"));
  EXPECT_TRUE(uses_symbola(data() / "query/union_train/mbeir_union_train.jsonl"));
}

TEST_F(PreparePictograms, TheUnionAsksForPicturesInEnglishAlone) {
  prepare_pictograms(options());
  for (const Json& record : lines_of(data() / "query/union_train/mbeir_union_train.jsonl")) {
    EXPECT_TRUE(record.at("task_id") != 0 || record.at("language") == "en") << record;
  }
}

TEST_F(PreparePictograms, TheUnseenLanguageIsInNoTrainingText) {
  prepare_pictograms(options());
  for (const auto& [path, text] : contents_of(data())) {
    if (path.find("train") == std::string::npos || path.find("test") != std::string::npos) continue;
    EXPECT_EQ(text.find(" sw\""), std::string::npos) << path;  // Swahili names end in "sw" in this tree
  }
  EXPECT_TRUE(fs::exists(data() / "query/test/mbeir_pictograms_sw_to_name_task1_test.jsonl"));
}

TEST_F(PreparePictograms, DescribesItself) {
  prepare_pictograms(options());
  EXPECT_THAT(describe_dataset(data()),
              AllOf(HasSubstr("fonts-symbola           2.60-1.1"), HasSubstr("CC-BY-SA-4.0"),
                    HasSubstr("pictures by EmojiOne"), HasSubstr("Noto -> EmojiOne"), HasSubstr("-> [mbeir_images/")));
}

}  // namespace
}  // namespace trireme::test
