#include "core/log.h"

#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include <gmock/gmock.h>

#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Log, LinesCarryTimeAndLevel) {
  std::ostringstream out;
  Console console(out, false);
  Log log(console, {});
  log.info("{} tensors read", 290);
  log.warning("no adapter");
  EXPECT_TRUE(std::regex_match(out.str(), std::regex(R"(\d\d:\d\d:\d\d info: 290 tensors read
\d\d:\d\d:\d\d warning: no adapter
)"))) << out.str();
}

TEST(Log, DropsLinesBelowItsLevel) {
  std::ostringstream out;
  Console console(out, false);
  Log(console, {.level = LogLevel::kWarning}).info("quiet");
  EXPECT_THAT(out.str(), IsEmpty());
  Log(console, {.level = LogLevel::kDebug}).debug("every tensor");
  EXPECT_THAT(out.str(), HasSubstr("debug: every tensor"));
}

TEST(Log, OtherRanksSpeakOnlyWarningsAndSayWho) {
  std::ostringstream out;
  Console console(out, false);
  Log log(console, {.rank = 3});
  log.info("quiet");
  EXPECT_THAT(out.str(), IsEmpty());
  log.warning("slow disk");
  EXPECT_THAT(out.str(), HasSubstr("warning: rank 3: slow disk\n"));
}

TEST(Log, OtherRanksWriteToTheirFileWhenThereIsAFolder) {
  const TempFolder folder;
  const auto directory = folder.path() / "run" / "log";
  std::ostringstream out;
  Console console(out, false);
  Log log(console, {.rank = 3, .directory = directory});
  log.info("for the file");
  log.warning("this too");
  EXPECT_THAT(out.str(), IsEmpty());
  EXPECT_TRUE(std::regex_match(text_of(directory / "rank_3.log"),
                               std::regex(R"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info: for the file
\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning: this too
)"))) << text_of(directory / "rank_3.log");
}

TEST(Log, RankZeroSpeaksAndWritesAndAppends) {
  const TempFolder folder;
  std::ostringstream out;
  Console console(out, false);
  Log(console, {.directory = folder.path()}).info("first");
  Log(console, {.directory = folder.path()}).info("second");
  EXPECT_THAT(out.str(), HasSubstr("first"));
  EXPECT_THAT(text_of(folder.path() / "rank_0.log"), HasSubstr("first"));
  EXPECT_THAT(text_of(folder.path() / "rank_0.log"), HasSubstr("second"));
}

TEST(Log, RefusesAFolderThatCannotBeWritten) {
  const TempFolder folder;
  const auto file = folder.write("file", "in the way");
  std::ostringstream out;
  Console console(out, false);
  EXPECT_THAT(message_of<DataError>([&] { Log(console, {.directory = file / "log"}); }),
              HasSubstr((file / "log").string()));
  EXPECT_THAT(message_of<DataError>([&] { Log(console, {.directory = file}); }), HasSubstr(file.string()));
}

TEST(Log, LinesOfSeveralThreadsStayWhole) {
  std::ostringstream out;
  Console console(out, false);
  Log log(console, {});
  const std::string text(50, 'x');
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        for (int line = 0; line < 200; ++line) log.info("{}", text);
      });
    }
  }
  std::istringstream lines(out.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(line.substr(8), " info: " + text);
  }
  EXPECT_EQ(count, 800);
}

}  // namespace
}  // namespace trireme::test
