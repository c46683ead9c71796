#include "trainers/run/event_record.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "trainers/run/crc32c.h"

namespace trireme {
namespace {

TEST(Crc32c, HasTheStandardsCheckValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(EventRecord, EqualsTensorBoardsOwnWriter) {
  using Scalars = std::vector<std::pair<std::string, double>>;
  const std::string written =
      version_record(1700000000.25) + restart_record(1700000001.5, 300) +
      scalars_record(1700000002.0, 0, Scalars{{"train/loss", 2.5}}) +
      scalars_record(1700000003.0, int64_t{1} << 40,
                     Scalars{{"train/loss", 0.1},
                             {"eval/größe " + std::string(200, 'x'), std::numeric_limits<double>::quiet_NaN()},
                             {"lr", 1e-9}});
  const std::string expected =
      read_text_file(std::filesystem::path(TRIREME_TEST_DIR) / "golden/tensorboard/events.bin");
  EXPECT_EQ(written, expected);
}

}  // namespace
}  // namespace trireme
