#include "data/preparation/packages.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/io/file.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

struct Package {
  const char *name, *known_version, *what, *licence;
  const char* probe;  ///< a file or folder of it, below the root
};

constexpr const char* kNoto = "usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";
constexpr const char* kSymbola = "usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf";
constexpr const char* kGems = "usr/share/rubygems-integration/all/gems";
constexpr const char* kEmojiTest = "usr/share/unicode/emoji/emoji-test.txt";
constexpr const char* kCldr = "usr/share/unicode/cldr/common";
constexpr const char* kStamps = "usr/share/tuxpaint/stamps";
constexpr const char* kWordnet = "usr/share/wordnet";
constexpr const char* kSvgConverter = "usr/bin/rsvg-convert";

constexpr Package kPackages[] = {
    {"fonts-noto-color-emoji", "2.042", "colour pictures (Noto)", "OFL-1.1", kNoto},
    {"ruby-gemojione", "3.3.0", "colour pictures (EmojiOne)", "CC-BY-SA-4.0 (art), MIT", kGems},
    {"fonts-symbola", "2.60", "black outlines (Symbola)", "free for any use", kSymbola},
    {"unicode-data", "15.0.0", "the list of emoji, English names, groups", "Unicode", kEmojiTest},
    {"unicode-cldr-core", "41", "names and keywords in twelve languages", "Unicode-DFS-2016", kCldr},
    {"tuxpaint-stamps-default", "2022.06.04", "photographs and drawings with captions", "GPL-2+", kStamps},
    {"wordnet-base", "3.0", "glosses and hypernyms", "WordNet", kWordnet},
};
constexpr Package kSvgPackage = {"librsvg2-bin", "", "draws the stamps that are SVG",
                                 "LGPL-2.1+ (a tool: nothing of it is in the data)", kSvgConverter};

/// "1:3.0-37" -> "3.0": without epoch and Debian's revision.
std::string upstream_version(std::string version) {
  if (const auto colon = version.find(':'); colon != std::string::npos) version.erase(0, colon + 1);
  if (const auto dash = version.rfind('-'); dash != std::string::npos) version.erase(dash);
  return version;
}

/// Versions of installed packages, out of dpkg's database.
std::map<std::string, std::string> installed_versions(const fs::path& root) {
  const fs::path file = root / "var/lib/dpkg/status";
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return {};
  std::map<std::string, std::string> versions;
  const std::string text = read_text_file(file);
  std::string package;
  for (const TextLine& line : lines_of(text, file)) {
    if (line.text.starts_with("Package: ")) package = trimmed(line.text.substr(9));
    if (line.text.starts_with("Version: ")) versions[package] = trimmed(line.text.substr(9));
  }
  return versions;
}

/// The folder of the only, or the last, version of the gem.
fs::path gem_folder(const fs::path& root) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(root / kGems, error)) {
    if (entry.path().filename().string().starts_with("gemojione-")) found.push_back(entry.path());
  }
  return found.empty() ? fs::path() : *std::max_element(found.begin(), found.end());
}

bool is_there(const fs::path& root, const Package& package) {
  std::error_code error;
  if (std::string_view(package.probe) == kGems) return fs::is_directory(gem_folder(root) / "assets" / "png", error);
  return fs::exists(root / package.probe, error);
}

}  // namespace

PictogramPackages::PictogramPackages(fs::path root) : root_(std::move(root)) {
  std::vector<std::string> missing;
  for (const Package& package : kPackages) {
    if (!is_there(root_, package)) missing.emplace_back(package.name);
  }
  const auto names = [](std::vector<std::string> list) { return fmt::to_string(fmt::join(list, " ")); };
  std::vector<std::string> to_install = missing;
  if (!is_there(root_, kSvgPackage)) to_install.emplace_back(kSvgPackage.name);
  TRIREME_CHECK(missing.empty(), DataError, "prepare pictograms",
                "the packages it is made of must be installed below {}; got none of the files of: {}; run: apt-get "
                "install --no-install-recommends {}",
                root_.string(), names(missing), names(to_install));

  const auto versions = installed_versions(root_);
  const auto add = [&](const Package& package) {
    const auto version = versions.find(package.name);
    sources_.push_back(
        {package.name, version == versions.end() ? "unknown" : version->second, package.what, package.licence});
  };
  for (const Package& package : kPackages) add(package);
  if (is_there(root_, kSvgPackage)) add(kSvgPackage);
}

fs::path PictogramPackages::noto_font() const { return root_ / kNoto; }
fs::path PictogramPackages::symbola_font() const { return root_ / kSymbola; }
fs::path PictogramPackages::emojione_pictures() const { return gem_folder(root_) / "assets" / "png"; }
fs::path PictogramPackages::emoji_test() const { return root_ / kEmojiTest; }
fs::path PictogramPackages::cldr() const { return root_ / kCldr; }
fs::path PictogramPackages::stamps() const { return root_ / kStamps; }
fs::path PictogramPackages::wordnet() const { return root_ / kWordnet; }
fs::path PictogramPackages::svg_converter() const {
  return is_there(root_, kSvgPackage) ? root_ / kSvgConverter : fs::path();
}

fs::path PictogramPackages::copyright_of(const SourcePackage& source) const {
  return root_ / "usr/share/doc" / source.name / "copyright";
}

bool PictogramPackages::are_known_versions() const {
  return std::all_of(std::begin(kPackages), std::end(kPackages), [&](const Package& package) {
    return std::any_of(sources_.begin(), sources_.end(), [&](const SourcePackage& source) {
      return source.name == package.name && upstream_version(source.version) == package.known_version;
    });
  });
}

}  // namespace trireme
