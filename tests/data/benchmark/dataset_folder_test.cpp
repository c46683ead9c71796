#include "data/benchmark/dataset_folder.h"

#include "core/io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

DatasetManifest small_manifest() {
  DatasetManifest manifest;
  manifest.dataset = "toys";
  manifest.sources = {{"a-package", "1.0-1", "toys", "MIT"}};
  manifest.counts = {{"toys", 3, 2, 1}};
  manifest.notes = {"one toy is broken"};
  return manifest;
}

TEST(DatasetWriter, CommitsTheWholeFolderWithItsManifest) {
  const TempFolder folder;
  const fs::path data = folder.path() / "deep" / "toys";
  {
    DatasetWriter writer(data);
    writer.write("query/train/q.jsonl", "{}\n");
    EXPECT_FALSE(fs::exists(data));
    writer.commit(small_manifest());
  }
  EXPECT_EQ(read_text_file(data / "query/train/q.jsonl"), "{}\n");
  const DatasetManifest manifest = read_manifest(data);
  EXPECT_EQ(manifest.counts, small_manifest().counts);
  EXPECT_EQ(manifest.sources, small_manifest().sources);
  EXPECT_EQ(manifest.notes, small_manifest().notes);
  EXPECT_EQ(manifest.sha256.size(), 1);
  verify_files(data, manifest);
  EXPECT_EQ(std::distance(fs::directory_iterator(data.parent_path()), {}), 1);
}

TEST(DatasetWriter, LeavesNothingWithoutCommit) {
  const TempFolder folder;
  {
    DatasetWriter writer(folder.path() / "toys");
    writer.write("a.txt", "a");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(DatasetWriter, TakesAnEmptyFolderAndATrailingSlash) {
  const TempFolder folder;
  fs::create_directory(folder.path() / "toys");
  DatasetWriter writer(folder.path() / "toys" / "");
  writer.write("a.txt", "a");
  writer.commit(small_manifest());
  EXPECT_EQ(read_text_file(folder.path() / "toys" / "a.txt"), "a");
}

TEST(Manifest, RefusesOtherFiles) {
  const TempFolder folder;
  for (const char* text : {"not json", "{}", "[]", R"({"format": "trireme_dataset", "format_version": 9})",
                           R"({"format": "trireme_dataset", "format_version": 1, "dataset": 7})"}) {
    folder.write("manifest.json", text);
    EXPECT_THAT(message_of<DataError>([&] { read_manifest(folder.path()); }), HasSubstr("manifest.json")) << text;
  }
  EXPECT_FALSE(is_prepared_dataset(folder.path() / "nowhere"));
}

}  // namespace
}  // namespace trireme::test
