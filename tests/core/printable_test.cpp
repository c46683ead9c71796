#include "core/printable.h"

#include <sstream>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/console.h"
#include "core/distributed/run_as_rank.h"
#include "core/error.h"
#include "core/log.h"

namespace trireme {
namespace {

/// ESC ] 0 ; t BEL sets a window's title; U+009B begins a control sequence; U+202E writes backwards.
constexpr const char* kHostile = "\x1b]0;t\x07 \xc2\x9b 2J \xe2\x80\xae r\r\n\xff";
constexpr const char* kShown = R"(\x1b]0;t\x07 \xc2\x9b 2J \xe2\x80\xae r\x0d\x0a\xff)";

TEST(Printable, LeavesTextAsItIs) {
  const std::string text = "größe 東京 👨‍👩‍👧 עברית \"quoted\" \\x41";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, ShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable(kHostile), kShown);
  EXPECT_EQ(printable("a\tb\x7f"), R"(a\x09b\x7f)");
  EXPECT_EQ(printable_lines("a\nb\tc\n"), "a\nb\\x09c\n");
  EXPECT_EQ(printable("\xe2\x80\xa8\xe2\x81\xa6"), R"(\xe2\x80\xa8\xe2\x81\xa6)");
}

TEST(Printable, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xc3"), R"(\xc3)");                            // cut short
  EXPECT_EQ(printable("\xc0\x80"), R"(\xc0\x80)");                    // longer than it must be
  EXPECT_EQ(printable("\xed\xa0\x80"), R"(\xed\xa0\x80)");            // half of a surrogate pair
  EXPECT_EQ(printable("\xf4\x90\x80\x80z"), R"(\xf4\x90\x80\x80z)");  // beyond U+10FFFF
}

RC_GTEST_PROP(Printable, IsUtf8WithoutControlsWhateverTheBytes, (const std::string& bytes)) {
  const std::string shown = printable(bytes);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const auto byte = static_cast<unsigned char>(shown[i]);
    RC_ASSERT(byte >= 0x20 && byte != 0x7f);
    if (byte == 0xc2) RC_ASSERT(static_cast<unsigned char>(shown.at(i + 1)) >= 0xa0);
  }
  RC_ASSERT(printable(shown) == shown);
}

TEST(Printable, IsWhatConsoleLogAndErrorsSpeak) {
  std::ostringstream out;
  {
    Console console(out, true);
    console.line(kHostile);
    EXPECT_EQ(out.str(), std::string(kShown) + "\n");
    out.str("");
    console.status("\x1b[2J");
    EXPECT_EQ(out.str(), "\r\x1b[K\\x1b[2J") << "the console's own codes and nothing else";
    out.str("");
    console.status({});
    out.str("");
    Log(console, {}).warning("{} was left out", kHostile);
    EXPECT_NE(out.str().find(std::string("warning: ") + kShown + " was left out\n"), std::string::npos) << out.str();
  }
  EXPECT_EQ(describe_error(DataError("f:1", "got \x1b[2J\nerror: forged"), 0, 1).line,
            "error: [f:1] got \\x1b[2J error: forged");
}

}  // namespace
}  // namespace trireme
