#pragma once

#include <filesystem>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/file.h"
#include "data/preparation/catalogue.h"
#include "data/preparation/drawing.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {

/// A folder laid out as the Debian packages of Pictograms are, with a handful of emoji, two stamps and two synsets; the
/// fonts are those of tests/golden/pictograms.
///   train  grinning face (and U+1F603, the same drawing in Noto), waving hand with five tones
///   val    astronaut, man astronaut
///   test   beaming face, skull, snail
class PackageTree {
 public:
  PackageTree() {
    namespace fs = std::filesystem;
    const fs::path fonts = fs::path(TRIREME_TEST_DIR) / "golden" / "pictograms";
    write("usr/share/fonts/truetype/noto/NotoColorEmoji.ttf", read_text_file(fonts / "colour.ttf"));
    write("usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf", read_text_file(fonts / "outline.ttf"));
    write_emoji_list();
    for (std::string_view language : kLanguages) write_annotations(language);
    for (const char* key : {"1F600", "1F480", "1F9D1-1F680", "1F3FB"}) write_emojione(key);
    write("usr/share/tuxpaint/stamps/animals/skull.txt", "A skull.\nde.utf8=Ein Totenkopf.\n");
    write("usr/share/tuxpaint/stamps/animals/skull.png", picture(40, 30, 90));
    write("usr/share/tuxpaint/stamps/food/apple.txt", "An apple.\n");
    write("usr/share/tuxpaint/stamps/food/apple.svg", picture(20, 60, 200));
    write("usr/share/tuxpaint/stamps/symbols/a.txt", "The letter A.\n");
    write("usr/share/tuxpaint/stamps/symbols/a.png", picture(20, 20, 10));
    write_wordnet();
    for (const char* package : {"fonts-noto-color-emoji", "ruby-gemojione", "fonts-symbola", "unicode-data",
                                "unicode-cldr-core", "tuxpaint-stamps-default", "wordnet-base", "librsvg2-bin"})
      write(std::filesystem::path("usr/share/doc") / package / "copyright",
            "Licence of " + std::string(package) + "\n");
    write("var/lib/dpkg/status",
          "Package: fonts-symbola\nVersion: 2.60-1.1\n\nPackage: wordnet-base\nVersion: 1:3.0-37\n");
  }

  std::filesystem::path root() const { return folder_.path(); }
  void write(const std::filesystem::path& name, std::string_view content) const { folder_.write(name, content); }
  void remove(const std::filesystem::path& name) const { std::filesystem::remove_all(root() / name); }

  /// A stand-in for rsvg-convert: its "SVG" files are PNG already.
  void add_svg_converter() const {
    write("usr/bin/rsvg-convert", "#!/bin/sh\nfor last; do :; done\nexec /bin/cat \"$last\"\n");
    std::filesystem::permissions(root() / "usr/bin/rsvg-convert", std::filesystem::perms::owner_all);
  }

  static std::string picture(int64_t width, int64_t height, uint8_t value) {
    RgbImage image{height, width, std::vector<uint8_t>(static_cast<std::size_t>(width * height * 3), value)};
    return png_bytes(image);
  }

 private:
  void write_emoji_list() const {
    write("usr/share/unicode/emoji/emoji-test.txt",
          "# emoji-test.txt\n"
          "# group: Smileys & Emotion\n"
          "# subgroup: face-smiling\n"
          "1F600 ; fully-qualified # x E1.0 grinning face\n"
          "1F603 ; fully-qualified # x E0.6 grinning face with big eyes\n"
          "1F601 ; fully-qualified # x E0.6 beaming face\n"
          "# subgroup: face-negative\n"
          "1F480 ; fully-qualified # x E0.6 skull\n"
          "# group: People & Body\n"
          "# subgroup: hand-fingers-open\n"
          "1F44B ; fully-qualified # x E0.6 waving hand\n"
          "1F44B 1F3FB ; fully-qualified # x E1.0 waving hand: light skin tone\n"
          "1F44B 1F3FC ; fully-qualified # x E1.0 waving hand: medium-light skin tone\n"
          "1F44B 1F3FD ; fully-qualified # x E1.0 waving hand: medium skin tone\n"
          "1F44B 1F3FE ; fully-qualified # x E1.0 waving hand: medium-dark skin tone\n"
          "1F44B 1F3FF ; fully-qualified # x E1.0 waving hand: dark skin tone\n"
          "# subgroup: person-role\n"
          "1F9D1 200D 1F680 ; fully-qualified # x E12.1 astronaut\n"
          "1F468 200D 1F680 ; fully-qualified # x E4.0 man astronaut\n"
          "1F3FB ; component # x E1.0 light skin tone\n"
          "# group: Animals & Nature\n"
          "# subgroup: animal-bug\n"
          "1F40C ; fully-qualified # x E0.6 snail\n"
          "# group: Flags\n"
          "# subgroup: flag\n"
          "1F3C1 ; fully-qualified # x E0.6 chequered flag\n");
  }

  void write_annotations(std::string_view language) const {
    const auto annotation = [&](std::string_view cp, const std::string& name, std::string_view keywords) {
      const std::string own = language == "en" ? name : name + " " + std::string(language);
      return fmt::format(
          "    <annotation cp=\"{0}\">{1} | {2}</annotation>\n"
          "    <annotation cp=\"{0}\" type=\"tts\" draft=\"provisional\">{2}</annotation>\n",
          cp, keywords, own);
    };
    constexpr std::string_view kHead = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<ldml>\n  <annotations>\n";
    constexpr std::string_view kTail = "  </annotations>\n</ldml>\n";
    write(fmt::format("usr/share/unicode/cldr/common/annotations/{}.xml", language),
          fmt::format("{}{}{}{}{}{}{}{}", kHead, annotation("😀", "grinning face", "face &amp; grin"),
                      annotation("😃", "big eyes", "eyes"), annotation("😁", "beaming face", "smile | beam"),
                      annotation("💀", "\u200Eskull", "bone"), annotation("👋", "waving hand", "wave"),
                      // The one keyword repeats the name, so that there is none.
                      language == "en" ? "    <annotation cp=\"🐌\">snail</annotation>\n"
                                         "    <annotation cp=\"🐌\" type=\"tts\">snail</annotation>\n"
                                       : annotation("🐌", "snail", "slow"),
                      kTail));
    write(fmt::format("usr/share/unicode/cldr/common/annotationsDerived/{}.xml", language),
          fmt::format("{}{}{}{}", kHead, annotation("🧑‍🚀", "astronaut", "rocket | space"),
                      annotation("👨‍🚀", "man astronaut", "rocket | man"), kTail));
  }

  void write_emojione(const std::string& key) const {
    const auto value = static_cast<uint8_t>(std::accumulate(key.begin(), key.end(), 0) % 200);
    write("usr/share/rubygems-integration/all/gems/gemojione-3.3.0/assets/png/" + key + ".png", picture(64, 60, value));
  }

  void write_wordnet() const {
    write("usr/share/wordnet/data.noun",
          "  1 This is the licence.\n"
          "00001740 03 n 01 entity 0 000 | that which exists; \"an entity\"  \n"
          "00002137 03 n 02 abstraction 0 abstract_entity 0 001 @ 00001740 n 0000 | a general concept  \n");
    write("usr/share/wordnet/data.verb", "00001740 29 v 01 breathe 0 000 01 + 02 00 | draw air into the lungs  \n");
  }

  TempFolder folder_;
};

}  // namespace trireme::test
