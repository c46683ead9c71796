#include "retrieval/search/id_table.h"

#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(IdTable, OrdersIdsByBytesWhichIsNotTheOrderOfSignedCharacters) {
  const IdTable ids({"b", "é", "", "a10", "a9", "z"});
  std::vector<int32_t> places;
  for (int64_t row = 0; row < ids.rows(); ++row) places.push_back(ids.place(row));
  EXPECT_EQ(places, (std::vector<int32_t>{3, 5, 0, 1, 2, 4}));
}

TEST(IdTable, FindsEveryIdAndNoOther) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back(std::to_string(i * 7 % 1000));
  const IdTable ids(names);
  for (int64_t row = 0; row < ids.rows(); ++row) {
    EXPECT_EQ(ids[row], names[static_cast<std::size_t>(row)]);
    EXPECT_EQ(ids.find(names[static_cast<std::size_t>(row)]), row);
  }
  for (const char* absent : {"", "1000", "99 ", "0x"}) EXPECT_EQ(ids.find(absent), std::nullopt);
  EXPECT_EQ(IdTable(std::vector<std::string>{}).find("a"), std::nullopt);
}

TEST(IdTable, IsTheSameOfBytesAndOffsets) {
  const IdTable of_names({"b", "", "a"}), of_bytes("ba", {0, 1, 1, 2}, "ids");
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_EQ(of_bytes[row], of_names[row]);
    EXPECT_EQ(of_bytes.place(row), of_names.place(row));
  }
}

TEST(IdTable, RefusesAnIdTwiceNamingBothRows) {
  EXPECT_THAT(message_of<DataError>([] {
                IdTable({"a", "b", "c", "b"}, "corpus.h5");
              }),
              AllOf(HasSubstr("[corpus.h5]"), HasSubstr("\"b\" at rows 1 and 3")));
}

}  // namespace
}  // namespace trireme
