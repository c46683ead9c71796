#include "core/io/quote.h"

#include <gtest/gtest.h>

namespace trireme {
namespace {

TEST(QuoteText, LeavesOrdinaryTextAsItIs) { EXPECT_EQ(quote_text("model.größe.東"), "\"model.größe.東\""); }

TEST(QuoteText, HidesWhatATerminalWouldObey) {
  EXPECT_EQ(quote_text("a\nb\x1b[31m\x7f\"\\"), R"("a\x0ab\x1b[31m\x7f\x22\x5c")");
  EXPECT_EQ(quote_text("\xc2\x9b"
                       "31m"),
            R"("\xc2\x9b31m")");
  EXPECT_EQ(quote_text("\xff"
                       "a"),
            R"("\xffa")");
}

TEST(QuoteText, CutsBetweenCharacters) {
  EXPECT_EQ(quote_text("ab東c", 3), "\"ab..\"");
  EXPECT_EQ(quote_text("ab東c", 5), "\"ab東..\"");
  EXPECT_EQ(quote_text("ab東c", 6), "\"ab東c\"");
}

TEST(ShownJson, LeavesItsSyntaxAndHidesTheRest) {
  EXPECT_EQ(shown_json(R"({"a":["b\n",1,null]})"), R"({"a":["b\n",1,null]})");
  EXPECT_EQ(shown_json("\"a\x1b[31m\xc2\x9b\""), R"("a\x1b[31m\xc2\x9b")");
  EXPECT_EQ(shown_json(R"(["abc"])", 4), R"(["ab..)");
}

}  // namespace
}  // namespace trireme
