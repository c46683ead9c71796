#include "core/io/fingerprint.h"

#include <chrono>
#include <thread>

#include "core/io/file_stamp.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum FingerprintPart;

Fingerprint sample() {
  Fingerprint fingerprint;
  fingerprint.set(kRopeMode, "mrope");
  fingerprint.set_hash_of(kTokenizer, "a tokenizer");
  fingerprint.set(kWeights, "0123");
  return fingerprint;
}

TEST(FingerprintOfParts, ComesBackAsItWasWritten) {
  EXPECT_EQ(Fingerprint::from_json(sample().json(), "x.h5"), sample());
  EXPECT_EQ(Fingerprint::from_names(sample().by_name()), sample());
  EXPECT_EQ(Fingerprint::from_json("{}", "x.h5"), Fingerprint());
  EXPECT_TRUE(Fingerprint().empty());
  EXPECT_EQ(sample().sha256(), sample().sha256());
}

TEST(FingerprintOfParts, EveryPartHasANameOfItsOwn) {
  Fingerprint all;
  for (const FingerprintPart part : all_fingerprint_parts()) all.set(part, "x");
  EXPECT_EQ(std::ssize(all.by_name()), static_cast<int64_t>(kPictures) + 1);
  EXPECT_EQ(Fingerprint::from_json(all.json(), "x"), all);
}

TEST(FingerprintOfParts, RefusesWhatItDidNotWrite) {
  for (const char* text : {"", "[]", "{\"weights\": 1}", "{\"wights\": \"a\"}", "{\"weights\": \"a\""})
    EXPECT_THAT(message_of<DataError>([&] { Fingerprint::from_json(text, "x.h5"); }),
                AllOf(HasSubstr("x.h5"), HasSubstr("fingerprint")));
}

TEST(FingerprintOfParts, NamesWhatDiffersOfWhatBothKnow) {
  Fingerprint other = sample();
  EXPECT_THAT(differing_parts(sample(), other, all_fingerprint_parts()), IsEmpty());
  other.set_hash_of(kTokenizer, "another");
  other.set(kRopeMode, "oned");
  other.set(kPixelLimits, "1 to 2");
  const auto parts = differing_parts(sample(), other, all_fingerprint_parts());
  EXPECT_THAT(parts, ElementsAre(kTokenizer, kRopeMode));
  EXPECT_THAT(differing_parts(sample(), other, kFolderParts), ElementsAre(kTokenizer));
  EXPECT_EQ(names_of(parts), "tokenizer, rope mode");
  EXPECT_EQ(values_of(other, parts),
            "tokenizer " + std::string(other.get(kTokenizer).substr(0, 12)) + ", rope mode oned");
}

TEST(FingerprintOfParts, OfSeveralFilesKeepsWhatTheyShare) {
  Fingerprint a = sample(), b = sample();
  a.set(kRecords, "one");
  b.set(kRecords, "two");
  b.set(kPictures, "some");
  const std::array both{a, b}, turned{b, a};
  const Fingerprint all = combined(both);
  EXPECT_THAT(differing_parts(all, sample(), all_fingerprint_parts()), IsEmpty());
  EXPECT_EQ(all.get(kPictures), "some");
  EXPECT_EQ(all.get(kRecords).size(), 64u);
  EXPECT_NE(all, combined(turned)) << "the order of files counts";
}

TEST(FileStamp, ChangesWithEveryWriteEvenWhereSizeAndTimeAreSetBack) {
  const test::TempFolder folder;
  const auto path = folder.write("a", "one");
  const std::string stamp = file_stamp(path);
  EXPECT_EQ(file_stamp(path), stamp);
  const auto time = std::filesystem::last_write_time(path);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // a tick of the kernel's clock
  folder.write("a", "two");
  std::filesystem::last_write_time(path, time);
  EXPECT_NE(file_stamp(path), stamp);
  EXPECT_THAT(message_of<DataError>([&] { file_stamp(folder.path() / "none"); }), HasSubstr("none"));
}

}  // namespace
}  // namespace trireme
