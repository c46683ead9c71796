#include "core/io/file.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "tests/core/io/disk_full.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::DiskFull;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// Permissions bind root too in some containers and not in others; the test asks the kernel.
bool can_read(const std::filesystem::path& path) { return ::access(path.c_str(), R_OK) == 0; }

TEST(MappedFile, HoldsTheFilesBytes) {
  const TempFolder folder;
  const MappedFile file(folder.write("a", std::string("x\0y", 3)));
  EXPECT_EQ(file.text(), std::string_view("x\0y", 3));
  EXPECT_EQ(file.bytes().size(), 3u);
}

TEST(MappedFile, OfAnEmptyFileIsEmpty) {
  const TempFolder folder;
  EXPECT_TRUE(MappedFile(folder.write("a", "")).bytes().empty());
}

TEST(MappedFile, IsCopyOnWrite) {
  const TempFolder folder;
  const auto path = folder.write("a", "before");
  const MappedFile file(path);
  file.bytes()[0] = std::byte{'B'};
  EXPECT_EQ(file.text(), "Before");
  EXPECT_EQ(read_text_file(path), "before");
}

TEST(MappedFile, OwnerKeepsTheMappingAlive) {
  const TempFolder folder;
  std::span<const std::byte> bytes;
  std::shared_ptr<const void> owner;
  {
    const MappedFile file(folder.write("a", "abc"));
    bytes = file.bytes();
    owner = file.owner();
  }
  EXPECT_EQ(bytes[2], std::byte{'c'});
}

TEST(MappedFile, RefusesWhatIsNotAReadableFile) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { MappedFile(folder.path() / "missing.bin"); }),
              AllOf(HasSubstr("missing.bin"), HasSubstr("No such file"), HasSubstr("check the path")));
  EXPECT_THAT(message_of<DataError>([&] { MappedFile{folder.path()}; }),
              AllOf(HasSubstr(folder.path().native()), HasSubstr("got a folder")));
  EXPECT_THAT(message_of<DataError>([&] { MappedFile("/dev/null"); }), HasSubstr("must be a regular file"));
  const auto secret = folder.write("secret", "x");
  std::filesystem::permissions(secret, std::filesystem::perms::none);
  if (!can_read(secret)) {
    EXPECT_THAT(message_of<DataError>([&] { MappedFile{secret}; }),
                AllOf(HasSubstr("secret"), HasSubstr("Permission denied"), HasSubstr("permission to read")));
  }
}

TEST(ReadTextFile, ReadsWhole) {
  const TempFolder folder;
  const std::string text(200'001, 'x');
  EXPECT_EQ(read_text_file(folder.write("a", text)), text);
  EXPECT_EQ(read_text_file(folder.write("empty", "")), "");
}

TEST(ReadTextFile, RefusesAFileAboveTheLimit) {
  const TempFolder folder;
  const auto path = folder.write("large.json", "123456");
  EXPECT_EQ(read_text_file(path, 6), "123456");
  EXPECT_THAT(message_of<DataError>([&] { read_text_file(path, 5); }),
              AllOf(HasSubstr("large.json"), HasSubstr("at most 5 bytes")));
}

TEST(AtomicFile, AppearsOnlyAtCommit) {
  const TempFolder folder;
  const auto path = folder.path() / "out";
  AtomicFile file(path);
  file.write("one ");
  file.write("two");
  EXPECT_FALSE(std::filesystem::exists(path));
  file.commit();
  EXPECT_EQ(read_text_file(path), "one two");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("out"));
}

TEST(AtomicFile, WithoutCommitLeavesTheOldFileAndNoOther) {
  const TempFolder folder;
  const auto path = folder.write("out", "old");
  { AtomicFile(path).write("new"); }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("out"));
}

TEST(AtomicFile, ReplacesAnOldFileAndFollowsItsLink) {
  const TempFolder folder;
  folder.write("disk/out", "old");
  const auto link = folder.path() / "link";
  std::filesystem::create_symlink("disk/out", link);
  AtomicFile file(link);
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_text_file(folder.path() / "disk/out"), "new");
}

TEST(AtomicFile, RespectsTheUmask) {
  const TempFolder folder;
  const mode_t old_mask = ::umask(027);
  AtomicFile file(folder.path() / "out");
  ::umask(old_mask);
  file.commit();
  struct stat status {};
  ASSERT_EQ(::stat((folder.path() / "out").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFile, HasATemporaryOfItsOwnInTheSameFolder) {
  const TempFolder folder;
  const std::string longest_name(255, 'n');
  AtomicFile a(folder.path() / longest_name), b(folder.path() / longest_name);
  EXPECT_NE(a.temporary_path(), b.temporary_path());
  EXPECT_EQ(a.temporary_path().parent_path(), folder.path());
  a.write("a");
  b.write("b");
  b.commit();
  a.commit();
  EXPECT_EQ(read_text_file(folder.path() / longest_name), "a");
}

TEST(AtomicFile, CommitsWhatALibraryWroteToTheTemporary) {
  const TempFolder folder;
  AtomicFile file(folder.path() / "out");
  std::ofstream(file.temporary_path()) << "by a library";
  file.commit();
  EXPECT_EQ(read_text_file(folder.path() / "out"), "by a library");
}

TEST(AtomicFile, OnAFullDiskNamesThePathAndKeepsTheOldFile) {
  const TempFolder folder;
  const auto path = folder.write("out", "old");
  {
    AtomicFile file(path);
    const DiskFull full(10'000);
    EXPECT_THAT(message_of<DataError>([&] { file.write(std::string(20'000, 'x')); }),
                AllOf(HasSubstr(path.native()), HasSubstr("File too large"), HasSubstr("older file is intact")));
  }
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("out"));
}

TEST(AtomicFile, RefusesWhatItCannotReplace) {
  const TempFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { AtomicFile{folder.path()}; }), HasSubstr("got a folder"));
  EXPECT_THAT(message_of<DataError>([&] { AtomicFile{"/dev/null"}; }), HasSubstr("must name a regular file"));
  EXPECT_THAT(message_of<DataError>([&] { AtomicFile{folder.path() / "none" / "out"}; }),
              AllOf(HasSubstr("none/out"), HasSubstr("No such file"), HasSubstr("make the folder first")));
  folder.write("file", "");
  EXPECT_THAT(message_of<DataError>([&] { AtomicFile{folder.path() / "file" / "out"}; }),
              AllOf(HasSubstr("file/out"), HasSubstr("Not a directory")));
}

}  // namespace
}  // namespace trireme
