#include "core/distributed/files_hash.h"

#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/hash.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::HasSubstr;

TEST(FilesHash, IsTheSameOnEveryRankAndTakenByOneOfAHost) {
  const test::TempFolder folder;
  const std::vector<std::filesystem::path> files{folder.write("a", "one"), folder.write("b", "two")};
  const std::string expected = sha256_hex_of_files(files);
  SelfCommunicator self;
  EXPECT_EQ(FilesHash(self, files).get(self), expected);
  for (const int64_t ranks : {2, 3}) {
    run_ranks(ranks, [&](Communicator& communicator) {
      // Only the first one reads: there is nothing for the others to find.
      const std::vector<std::filesystem::path> none{folder.path() / "none"};
      FilesHash hash(communicator, communicator.rank() == 0 ? files : none);
      EXPECT_EQ(hash.get(communicator), expected);
    });
  }
}

TEST(FilesHash, TellsWhatCannotBeRead) {
  SelfCommunicator self;
  EXPECT_THAT(message_of<DataError>([&] { FilesHash(self, {"/nowhere/w.safetensors"}).get(self); }),
              HasSubstr("/nowhere/w.safetensors"));
}

}  // namespace
}  // namespace trireme
