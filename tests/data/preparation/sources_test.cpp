#include "data/preparation/annotations.h"
#include "data/preparation/emoji_test.h"
#include "data/preparation/glyphs.h"
#include "data/preparation/stamps.h"
#include "data/preparation/wordnet.h"
#include "tests/data/preparation/package_tree.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(EmojiTest, KeepsFullyQualifiedEmojiWithTheirGroups) {
  const TempFolder folder;
  const fs::path file = folder.write("emoji-test.txt",
                                     "# group: Objects\n# subgroup: tool\n"
                                     "2764 FE0F ; fully-qualified # ❤️ E0.6 red heart\n"
                                     "2764 ; unqualified # ❤ E0.6 red heart\n");
  const auto emoji = read_emoji_test(file);
  ASSERT_EQ(emoji.size(), 1);
  EXPECT_EQ(emoji[0].code_points, U"\u2764\uFE0F");
  EXPECT_EQ(emoji[0].name, "red heart");
  EXPECT_EQ(emoji[0].group, "Objects");
  EXPECT_EQ(emoji[0].subgroup, "tool");
}

TEST(EmojiTest, RefusesALineOfAnotherFormatWithItsNumber) {
  const TempFolder folder;
  for (const char* line :
       {"1F600 fully-qualified", "XYZ ; fully-qualified # x E1.0 name", "1F600 ; fully-qualified #"}) {
    const fs::path file = folder.write("emoji-test.txt", std::string("# first\n") + line + "\n");
    EXPECT_THAT(message_of<DataError>([&] { read_emoji_test(file); }), HasSubstr("emoji-test.txt:2")) << line;
  }
}

TEST(Annotations, AreNamesAndKeywordsWithoutWhatRepeatsTheName) {
  const PackageTree tree;
  const Annotations annotations(tree.root() / "usr/share/unicode/cldr/common", "en");
  EXPECT_EQ(annotations.of("😀").name, "grinning face");
  EXPECT_EQ(annotations.of("😀").keywords, std::vector<std::string>{"face & grin"});
  EXPECT_EQ(annotations.of("💀").name, "skull");  // without its direction mark
  EXPECT_EQ(annotations.of("👨‍🚀").keywords, (std::vector<std::string>{"rocket", "man"}));
  EXPECT_TRUE(annotations.of("🐌").keywords.empty());
  EXPECT_EQ(annotations.of("🪿").name, "");
}

TEST(Annotations, RefuseWhatIsNotXml) {
  const PackageTree tree;
  tree.write("usr/share/unicode/cldr/common/annotations/de.xml", "<ldml><annotations>");
  EXPECT_THAT(message_of<DataError>([&] { Annotations(tree.root() / "usr/share/unicode/cldr/common", "de"); }),
              HasSubstr("de.xml"));
}

TEST(Wordnet, PairsADefinitionWithItsHypernyms) {
  const PackageTree tree;
  const auto pairs = read_hypernym_pairs(tree.root() / "usr/share/wordnet");
  ASSERT_EQ(pairs.size(), 1);
  EXPECT_EQ(pairs[0].anchor, "a general concept");
  EXPECT_EQ(pairs[0].positive, "that which exists");  // without the example
}

TEST(Wordnet, RefusesDamagedLines) {
  const PackageTree tree;
  for (const char* line : {"00001740 03 n", "00001740 03 n 01 entity 0 009 | gloss",
                           "00001740 03 n 01 entity 0 001 @ 00000001 n 0000 | gloss"}) {
    tree.write("usr/share/wordnet/data.noun", std::string(line) + "\n");
    EXPECT_THAT(message_of<DataError>([&] { read_hypernym_pairs(tree.root() / "usr/share/wordnet"); }),
                HasSubstr("data.noun"))
        << line;
  }
}

TEST(Stamps, AreCaptionedPicturesWithoutSymbols) {
  const PackageTree tree;
  tree.write("usr/share/tuxpaint/stamps/food/soundless.txt", "A caption without a picture.\n");
  const auto stamps = read_stamps(tree.root() / "usr/share/tuxpaint/stamps");
  ASSERT_EQ(stamps.size(), 2);
  EXPECT_EQ(stamps[0].name, "animals/skull");
  EXPECT_EQ(stamps[0].caption, "A skull.");
  EXPECT_FALSE(stamps[0].is_svg);
  EXPECT_EQ(stamps[1].name, "food/apple");
  EXPECT_TRUE(stamps[1].is_svg);
}

TEST(Stamps, SvgComesFromTheConverter) {
  const PackageTree tree;
  tree.add_svg_converter();
  const fs::path converter = tree.root() / "usr/bin/rsvg-convert";
  EXPECT_EQ(draw_svg(converter, tree.root() / "usr/share/tuxpaint/stamps/food/apple.svg").on_white.width, 20);
  EXPECT_THAT(message_of<DataError>([&] { draw_svg(converter, tree.root() / "missing.svg"); }),
              HasSubstr("missing.svg"));
  EXPECT_THAT(message_of<DataError>([&] { draw_svg(tree.root() / "usr/bin/none", tree.root() / "x.svg"); }),
              HasSubstr("usr/bin/none"));
}

TEST(Fonts, DrawSequencesAsOneGlyphOrNotAtAll) {
  const PackageTree tree;
  BitmapEmojiFont font(tree.root() / "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf");
  const auto face = font.draw(U"\U0001F600");
  ASSERT_TRUE(face);
  EXPECT_EQ(face->on_white.width, 20);
  EXPECT_EQ(face->on_white.height, 16);
  EXPECT_TRUE(font.draw(U"\U0001F9D1\u200D\U0001F680"));
  EXPECT_FALSE(font.draw(U"\U0001F600\u200D\U0001F680"));  // the font has no such sequence
  EXPECT_FALSE(font.draw(U"\U0001F9FF"));
}

TEST(Fonts, OutlinesAreBlackAndEmptyOnesAreNone) {
  const PackageTree tree;
  OutlineFont font(tree.root() / "usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf", 128);
  const auto skull = font.draw(0x1F480);
  ASSERT_TRUE(skull);
  EXPECT_GT(skull->on_white.width, 100);
  EXPECT_FALSE(font.draw(0x1F40C));  // an empty glyph
  EXPECT_FALSE(font.draw(0x1F44B));  // not in the font
}

TEST(Fonts, RefuseOtherFiles) {
  const PackageTree tree;
  const fs::path list = tree.root() / "usr/share/unicode/emoji/emoji-test.txt";
  EXPECT_THAT(message_of<DataError>([&] { BitmapEmojiFont font(list); }), HasSubstr("emoji-test.txt"));
  const fs::path outlines = tree.root() / "usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf";
  EXPECT_THAT(message_of<DataError>([&] { BitmapEmojiFont font(outlines); }), HasSubstr("bitmaps"));
}

}  // namespace
}  // namespace trireme::test
