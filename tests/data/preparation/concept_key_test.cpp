#include "data/preparation/concept_key.h"

#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

// Worked out once with hashlib: int.from_bytes(sha256(b"v1" + key).digest()[:4], "big") % 100.
TEST(SplitBucket, IsTheSameForEver) {
  EXPECT_EQ(split_bucket("1f600"), 96);
  EXPECT_EQ(split_bucket("1f9d1-1f680"), 23);
  EXPECT_EQ(split_bucket("stamp:red apple"), 31);
}

TEST(SplitBucket, DecidesTheSplit) {
  EXPECT_EQ(split_of("1f600"), Split::kTrain);
  EXPECT_EQ(split_of("1f9d1-1f680"), Split::kVal);
  EXPECT_EQ(split_of("1f480"), Split::kTest);
}

TEST(FamilyKey, IsOneForAllVariantsOfAConcept) {
  EXPECT_EQ(family_key(U"\U0001F9D1\u200D\U0001F680"), "1f9d1-1f680");
  EXPECT_EQ(family_key(U"\U0001F469\U0001F3FD\u200D\U0001F680"), "1f9d1-1f680");  // woman, tone
  EXPECT_EQ(family_key(U"\U0001F468\u200D\U0001F9B0"), "1f9d1");                  // man with red hair
  EXPECT_EQ(family_key(U"\U0001F3C3\U0001F3FF\u200D\u2640\uFE0F"), "1f3c3");      // woman running
  EXPECT_EQ(family_key(U"\u2764\uFE0F\u200D\U0001F525"), "2764-1f525");           // heart on fire
}

TEST(SequenceKey, LeavesOutThePresentationSelectorAlone) {
  EXPECT_EQ(sequence_key(U"\u2764\uFE0F\u200D\U0001F525"), "2764-200d-1f525");
  EXPECT_EQ(joinerless_key(U"\u2764\uFE0F\u200D\U0001F525"), "2764-1f525");
}

TEST(NormaliseCaption, LeavesTheWordsThatName) {
  EXPECT_EQ(normalise_caption("A red apple.", "x"), "red apple");
  EXPECT_EQ(normalise_caption("An “Fuji”  APPLE!", "x"), "fuji apple");
  EXPECT_EQ(normalise_caption("The plumber’s wrench", "x"), "plumbers wrench");
  EXPECT_EQ(normalise_caption("Theatre", "x"), "theatre");
  EXPECT_EQ(normalise_caption("A the owl", "x"), "the owl");  // one article goes
  EXPECT_EQ(normalise_caption("  É\tB ", "x"), "é b");
  EXPECT_EQ(normalise_caption("…", "x"), "");
}

TEST(NormaliseCaption, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(message_of<DataError>([] { normalise_caption("A \xff.", "frog.txt"); }), testing::HasSubstr("frog.txt"));
}

}  // namespace
}  // namespace trireme::test
