#include "tests/fuzz/mutate.h"

#include <filesystem>
#include <set>

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace trireme::fuzz {
namespace {

const Corpus kCorpus{{R"({"shape":[2,3],"data_offsets":[0,24]})", "another seed"}, {"null", "\"dtype\""}};

TEST(MutatedInput, IsAPureFunctionOfSeedAndIndex) {
  for (uint64_t index = 0; index < 200; ++index)
    EXPECT_EQ(mutated_input(kCorpus, 7, index), mutated_input(kCorpus, 7, index));
}

TEST(MutatedInput, DiffersBetweenIndicesAndSeeds) {
  std::set<std::string> distinct;
  for (uint64_t index = 0; index < 1000; ++index) distinct.insert(mutated_input(kCorpus, index % 2, index));
  EXPECT_GT(distinct.size(), 800u);
}

TEST(SurvivesMutation, FailsOnAnExceptionThatIsNotATriremeError) {
  EXPECT_NONFATAL_FAILURE(survives_mutation("mutate_test", kCorpus,
                                            [](const std::string& input) {
                                              if (input != kCorpus.seeds[0] && input != kCorpus.seeds[1])
                                                throw std::out_of_range("leaked");
                                            }),
                          "leaked");
  EXPECT_TRUE(std::filesystem::remove("mutate_test.fuzz_input")) << "the input that failed is kept";
}

TEST(SurvivesMutation, FailsOnAMessageOfTwoLines) {
  EXPECT_NONFATAL_FAILURE(survives_mutation("mutate_test", kCorpus,
                                            [](const std::string& input) {
                                              TRIREME_CHECK(input == kCorpus.seeds[0] || input == kCorpus.seeds[1],
                                                            DataError, "test", "a line\nand another");
                                            }),
                          "unfit for a terminal");
  std::filesystem::remove("mutate_test.fuzz_input");
}

}  // namespace
}  // namespace trireme::fuzz
