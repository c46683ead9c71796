#include "retrieval/report/report.h"

#include <pugixml.hpp>

#include "core/io/file.h"
#include "retrieval/report/collect.h"
#include "retrieval/report/text_table.h"
#include "retrieval/report/thumbnail.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kHostile = "</td><script>alert('&\"')</script>";
const std::string kPicture = thumbnail_base64(fs::path(TRIREME_TEST_DIR) / "golden/loader/picture.png", 32);

ResultRow row(std::string id, std::string label, double recall) {
  ResultRow row{.id = id,
                .label = std::move(label),
                .row = "row",
                .set = "main",
                .task_id = 4,
                .queries = 20,
                .in_mean = true,
                .headline = "recall@5"};
  row.local = PoolResult{30, {{"recall@5", {recall, recall - 0.05, recall + 0.05}}, {"mrr", {recall / 2, {}, {}}}}};
  return row;
}

EvalResults results(std::string label = "ours") {
  EvalResults results{.label = std::move(label),
                      .benchmark = "toys, test",
                      .model = "models/tiny",
                      .model_sha256 = "abc",
                      .adapter_sha256 = "",
                      .config_sha256 = "def",
                      .instruction = "instruction 1",
                      .depth = 50,
                      .table = {}};
  results.table.tasks = {row("a", kHostile, 0.5), row("b", "Noto -> Symbola", 0.25)};
  results.table.rows = {row("row", "both", 0.375)};
  results.table.mean = row("mean", "mean", 0.375);
  Reference floor{"floor", "by hand", {}};
  floor.table.tasks = {row("a", "a", 0.4)};
  floor.table.rows = {row("row", "both", 0.4)};
  floor.table.mean = row("mean", "mean", 0.4);
  results.references = {floor};
  results.fingerprint.set(FingerprintPart::kTokenizer, "a tokenizer");
  return results;
}

Gallery gallery() {
  Gallery gallery{50, {}, {kPicture}, "pictures of <somebody>"};
  GalleryCase miss{{"9:1", "query & text", 0}, 0};
  miss.top = {{{"9:2", kHostile, {}}, 0.9, false}, {{"9:3", "", 0}, 0.8, false}};
  miss.wanted = GalleryItem{"9:4", "what should have come", 0};
  GalleryCase hit{{"9:5", "found", {}}, 1};
  hit.top = {{{"9:6", "right", {}}, 0.99, true}};
  gallery.tasks = {{"a", "task", kHostile, {miss, hit}}};
  return gallery;
}

Report whole_report() {
  Report report;
  report.results = {results("base"), results("ours")};
  report.curves = {{"run", {{"train/loss", {1, 2, 3}, {3, 2, 1}}, {"time/step_s", {1, 2}, {0.1, 0.2}}}}};
  report.gallery = {"ours", gallery()};
  return report;
}

/// Parsed as XML, which is stricter than HTML: every element closed, every text and attribute escaped.
pugi::xml_document parsed(const std::string& html) {
  pugi::xml_document document;
  const std::string body = html.substr(html.find('\n') + 1);
  const auto result = document.load_buffer(body.data(), body.size(), pugi::parse_full | pugi::parse_ws_pcdata);
  EXPECT_TRUE(result) << result.description() << " at " << body.substr(static_cast<std::size_t>(result.offset), 80);
  return document;
}

TEST(Report, IsWellFormedAndHoldsWhatItWasGiven) {
  const std::string html = report_html(whole_report());
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
  const pugi::xml_document document = parsed(html);
  EXPECT_TRUE(document.select_node("//section[@id='local']//table"));
  EXPECT_TRUE(document.select_node("//section[@id='curves']//polyline"));
  EXPECT_EQ(document.select_nodes("//li[@class='hit']").size(), 1u);
  EXPECT_TRUE(document.select_node("//div[@class='wanted']/span[text()='what should have come']"));
  EXPECT_TRUE(document.select_node("//td[contains(@class,'above')]")) << "0.5 against a floor of 0.4";
}

TEST(Report, EscapesIdsTextsAndLabels) {
  const pugi::xml_document document = parsed(report_html(whole_report()));
  EXPECT_FALSE(document.select_node("//script"));
  EXPECT_GE(document
                .select_nodes(
                    fmt::format("//*[text()=concat({})]", "\"</td><script>alert('&\", '\"', \"')</script>\"").c_str())
                .size(),
            3u)
      << "as the label of a task, as an instruction, as a candidate";
}

TEST(Report, LoadsNothingFromElsewhere) {
  const std::string html = report_html(whole_report());
  EXPECT_THAT(html, AllOf(Not(HasSubstr("http:")), Not(HasSubstr("https:")), Not(HasSubstr("<link")),
                          HasSubstr("default-src &#39;none&#39;")));
}

TEST(Report, ShowsEachPictureOnceInItsStyleSheet) {
  const std::string html = report_html(whole_report());
  const auto first = html.find(kPicture);
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(html.find(kPicture, first + 1), std::string::npos);
}

TEST(Report, EqualReportsGiveEqualBytes) { EXPECT_EQ(report_html(whole_report()), report_html(whole_report())); }

TEST(Report, HasRoomForEveryPart) {
  Report curves;
  curves.curves = whole_report().curves;
  parsed(report_html(curves));
  Report numbers;
  numbers.results = {results()};
  numbers.results[0].references.clear();
  numbers.results[0].table.tasks[0].global = numbers.results[0].table.tasks[0].local;
  parsed(report_html(numbers));
}

TEST(Results, ComeBackFromJsonAsTheyWere) {
  const EvalResults before = results();
  EXPECT_EQ(parse_results(results_json(before), "results.json"), before);
  EXPECT_EQ(parse_gallery(gallery_json(gallery()), "gallery.json"), gallery());
}

TEST(Results, RefuseOtherFiles) {
  EXPECT_THAT(message_of<DataError>([] { parse_results("{}", "r.json"); }), HasSubstr("r.json"));
  EXPECT_THAT(message_of<DataError>([] { parse_results("{oops", "r.json"); }), HasSubstr("trireme eval"));
  std::string text = results_json(results());
  text.replace(text.find("\"depth\""), 7, "\"deep\"");
  EXPECT_THAT(message_of<DataError>([&] { parse_results(text, "r.json"); }), HasSubstr("depth"));
  text = results_json(results());
  text.replace(text.find("\"format_version\": 2"), 19, "\"format_version\": 3");
  EXPECT_THAT(message_of<DataError>([&] { parse_results(text, "r.json"); }), HasSubstr("got 3"));
  text.replace(text.find("\"format_version\": 3"), 19, "\"format_version\": 1");
  EXPECT_EQ(parse_results(text, "r.json").label, results().label) << "older results are read";
}

TEST(Results, TellWhenTheyAreNotOfTheSameData) {
  EvalResults a = results("a"), b = results("b");
  EXPECT_EQ(data_difference(a, b), "");
  a.fingerprint.set(FingerprintPart::kRecords, "one");
  EXPECT_EQ(data_difference(a, b), "") << "an older one does not say";
  b.fingerprint.set(FingerprintPart::kRecords, "two");
  EXPECT_THAT(data_difference(a, b), AllOf(HasSubstr("records differ"), HasSubstr("b was not"), HasSubstr("as a")));
  b.fingerprint.set(FingerprintPart::kTokenizer, "another");
  EXPECT_THAT(data_difference(a, b), Not(HasSubstr("tokenizer"))) << "models are there to be compared";
  Report report = whole_report();
  report.results = {a, b};
  EXPECT_THAT(report_html(report), HasSubstr("not evaluated on the same data"));
  b.benchmark = "another";
  EXPECT_EQ(data_difference(a, b), "");
}

TEST(Results, RefuseGalleriesWhosePicturesAreNone) {
  Gallery broken = gallery();
  broken.pictures = {"x);} body{background:url(//elsewhere)"};
  EXPECT_THAT(message_of<DataError>([&] { parse_gallery(gallery_json(broken), "g.json"); }), HasSubstr("base64"));
  broken = gallery();
  broken.tasks[0].cases[0].query.picture = 7;
  EXPECT_THAT(message_of<DataError>([&] { parse_gallery(gallery_json(broken), "g.json"); }), HasSubstr("picture"));
}

TEST(TextTable, PutsTheReferenceBesideTheMetricsThatItHas) {
  const std::string text = results_text(results());
  EXPECT_THAT(text, HasSubstr("toys, test, each task in its own pool: ours"));
  EXPECT_THAT(text, HasSubstr("R@5"));
  EXPECT_THAT(text, HasSubstr("floor"));
  EXPECT_THAT(text, HasSubstr("Noto -> Symbola"));
  EXPECT_THAT(text, HasSubstr("37.5  [32, 42]   40.0"));
  EXPECT_THAT(text, Not(HasSubstr("pool of all tasks")));
}

TEST(TextTable, TellsTheMeanOfTheRowsOwnMetrics) {
  EvalResults mixed = results();
  mixed.table.mean->headline = "headline";
  mixed.table.mean->local->metrics.emplace_back("headline", Estimate{0.566, 0.56, 0.572});
  mixed.references[0].table.mean->local->metrics.emplace_back("headline", Estimate{0.5, {}, {}});
  EXPECT_THAT(results_text(mixed), HasSubstr("mean of each row's own metric: 56.6 [56.0, 57.2], floor 50.0\n"));
}

TEST(TextTable, PutsResultsSideBySide) {
  EvalResults better = results("ours + listwise");
  better.table.tasks[1] = row("b", "Noto -> Symbola", 0.75);
  better.table.tasks.erase(better.table.tasks.begin());
  const std::vector<EvalResults> columns = {results(), better};
  const std::string text = comparison_text(columns);
  EXPECT_THAT(text, AllOf(HasSubstr("toys, test, each task in its own pool\n"), HasSubstr("  ours  + listwise")));
  EXPECT_THAT(text, ::testing::ContainsRegex("  Noto -> Symbola +20 +25.0 +75.0 +12.5 +37.5\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("</script> +20 +50.0 +- +25.0 +-\n")) << "what is not there is a dash";
  EXPECT_THAT(text, Not(HasSubstr("pool of all tasks")));
}

TEST(Results, TellWhichRerankerMadeThem) {
  EvalResults reranked = results();
  reranked.reranked_by = RerankedBy{"pointwise", "models/rank", "aa", "bb", 50, "alpha=0.5", {{"task4", "alpha=0.7"}}};
  EXPECT_EQ(parse_results(results_json(reranked), "results.json"), reranked);
}

TEST(Collect, TakesTheColumnsOfAnEvaluationWithReranking) {
  const TempFolder folder;
  for (const auto& [path, label] : std::vector<std::pair<std::string, std::string>>{
           {"run/eval/results.json", "Ret"}, {"run/eval/1_pointwise/results.json", "Ret + pointwise"}})
    folder.write(path, results_json(results(label)));
  for (const char* from : {"run", "run/eval"}) {
    const Report report = collect_report({folder.path() / from});
    ASSERT_EQ(report.results.size(), 2u) << from;
    EXPECT_EQ(report.results[0].label, "Ret");
    EXPECT_EQ(report.results[1].label, "Ret + pointwise");
  }
}

TEST(Collect, TakesCurvesAndEvaluationsOfARunInOrder) {
  const TempFolder folder;
  folder.write("run/metrics.jsonl", "{\"step\": 1, \"train/loss\": 1}\n");
  folder.write("run/eval/b/results.json", results_json(results("second")));
  folder.write("run/eval/b/gallery.json", gallery_json(gallery()));
  folder.write("run/eval/a/results.json", results_json(results("first")));
  folder.write("other/results.json", results_json(results("first")));
  const Report report = collect_report({folder.path() / "run", folder.path() / "other"});
  ASSERT_EQ(report.results.size(), 3u);
  EXPECT_EQ(report.results[0].label, "first");
  EXPECT_EQ(report.results[1].label, "second");
  EXPECT_EQ(report.results[2].label, "first (other)");
  EXPECT_EQ(report.curves.at(0).name, "run");
  EXPECT_EQ(report.gallery.value().label, "second");
}

TEST(Collect, RefusesFoldersWithNothingToShow) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { collect_report({folder.path() / "none"}); }), HasSubstr("none"));
  EXPECT_THAT(message_of<DataError>([&] { collect_report({folder.path()}); }), HasSubstr("metrics.jsonl"));
  folder.write("metrics.jsonl", "");
  EXPECT_THAT(message_of<DataError>([&] { collect_report({folder.path()}); }), HasSubstr("empty"));
}

TEST(Thumbnail, FitsTheSideAndKeepsTheShape) {
  const RgbImage wide{40, 100, std::vector<uint8_t>(40 * 100 * 3, 200)};
  const RgbImage small{3, 5, std::vector<uint8_t>(3 * 5 * 3, 10)};
  EXPECT_EQ(thumbnail_base64(wide, 50), thumbnail_base64(RgbImage{20, 50, std::vector<uint8_t>(20 * 50 * 3, 200)}, 50));
  EXPECT_TRUE(thumbnail_base64(small, 50).starts_with("UklGR")) << "RIFF";
}

}  // namespace
}  // namespace trireme
