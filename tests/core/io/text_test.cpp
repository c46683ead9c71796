#include "core/io/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using std::string_literals::operator""s;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& bytes) {
  const TempFolder folder;
  return message_of<DataError>([&] { read_utf8_file(folder.write("f.txt", bytes)); });
}

TEST(Utf8Text, IsWithoutTheByteOrderMark) {
  const TempFolder folder;
  EXPECT_EQ(read_utf8_file(folder.write("a", "\xef\xbb\xbfgröße\r\n")), "größe\r\n");
  EXPECT_EQ(read_utf8_file(folder.write("b", "a\xef\xbb\xbf")), "a\xef\xbb\xbf");
  EXPECT_EQ(read_utf8_file(folder.write("c", "")), "");
}

TEST(Utf8Text, NamesWhatWindowsProgramsWriteInstead) {
  for (const std::string& utf16 : {"\xff\xfe{\0}\0"s, "\xfe\xff\0{\0}"s, "{\0\"\0i\0d\0"s, "\0{\0\"\0i"s})
    EXPECT_THAT(refusal(utf16), AllOf(HasSubstr("f.txt"), HasSubstr("got UTF-16 text; save it as UTF-8")));
  EXPECT_THAT(refusal("\xff\xfe\0\0{\0\0\0"s), HasSubstr("got UTF-32 text"));
  EXPECT_THAT(refusal("PK\x03\x04 sheet"), HasSubstr(".xlsx"));
  EXPECT_THAT(refusal("\x1f\x8b\x08"), HasSubstr("got a gzip archive; unpack it first"));
  EXPECT_THAT(refusal("PAR1...."), HasSubstr("a Parquet table"));
}

TEST(FirstBadByte, IsFoundInAnyPlace) {
  EXPECT_EQ(first_bad_byte("caf\xe9 cr\xe8me"), "byte 0xe9 at 4, which is no UTF-8 (is it Windows-1252 or Latin-1?)");
  EXPECT_EQ(first_bad_byte("größe\xff"), "byte 0xff at 8, which is no UTF-8 (is it Windows-1252 or Latin-1?)");
  EXPECT_EQ(first_bad_byte("\xe2\x82"), "byte 0xe2 at 1, which is no UTF-8 (is it Windows-1252 or Latin-1?)");
  const std::string good(10'000, 'x');
  EXPECT_THAT(first_bad_byte(good + "\x80" + good), HasSubstr("at 10001"));
}

}  // namespace
}  // namespace trireme
