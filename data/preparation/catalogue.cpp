#include "data/preparation/catalogue.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <unordered_map>

#include "core/config/choice.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/parallel.h"
#include "data/preparation/drawing.h"
#include "data/preparation/emoji_test.h"
#include "data/preparation/glyphs.h"
#include "data/preparation/stamps.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSide = 64, kStampSide = 96, kOutlinePixels = 128;
constexpr std::string_view kFlags = "Flags";
/// The female and the male sign have nothing left as a family; the split is that of the empty key.
constexpr std::string_view kSignsOfGender = "gender-sign";
constexpr std::string_view kImages = "mbeir_images/pictograms_images", kStampImages = "mbeir_images/stamps_images";

/// A picture on its way into the dataset.
struct Picture {
  std::string path;  ///< below the dataset
  fs::path file;     ///< where it is read from; empty when a font drew it already
  bool is_svg = false;
  int64_t side = kSide;
  RgbImage pixels;
  std::string fingerprint;  ///< of the drawing as its artist made it, before cropping and scaling
};

void set_drawing(Picture& picture, const Drawing& drawing, std::string_view where) {
  picture.pixels = fit_square(drawing, picture.side, where);
  std::string bytes = fmt::format("{} x {}:", drawing.on_white.height, drawing.on_white.width);
  bytes.append(drawing.on_white.pixels.begin(), drawing.on_white.pixels.end());
  bytes.append(drawing.alpha.begin(), drawing.alpha.end());
  picture.fingerprint = sha256_hex(std::as_bytes(std::span(bytes)));
}

std::u32string without_tones(std::u32string_view code_points) {
  std::u32string kept;
  std::copy_if(code_points.begin(), code_points.end(), std::back_inserter(kept),
               [](char32_t c) { return !is_skin_tone(c); });
  return kept;
}

std::u32string without_presentation(std::u32string_view code_points) {
  std::u32string kept;
  std::copy_if(code_points.begin(), code_points.end(), std::back_inserter(kept),
               [](char32_t c) { return c != 0xFE0F; });
  return kept;
}

std::string picture_path(Style style, const std::string& key) {
  return fmt::format("{}/{}/{}.png", kImages, choice_name(style), key);
}

/// Everything known about the emoji but for its pictures, and what to draw them from.
struct EmojiSources {
  std::vector<Pictogram> pictograms;
  std::vector<std::u32string> sequences;           ///< of pictograms[i], without U+FE0F
  std::vector<std::vector<std::u32string>> toned;  ///< its five tones, light first, or none
};

EmojiSources read_emoji(const PictogramPackages& packages) {
  std::vector<std::optional<Annotations>> annotations(kLanguages.size());
  parallel_for(std::ssize(kLanguages), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      annotations[i].emplace(packages.cldr(), kLanguages[i]);
  });
  EmojiSources sources;
  std::map<std::string, std::vector<std::u32string>> toned;
  for (const EmojiSequence& emoji : read_emoji_test(packages.emoji_test())) {
    if (emoji.group == kFlags) continue;
    const std::u32string base = without_tones(emoji.code_points), sequence = without_presentation(emoji.code_points);
    if (base != emoji.code_points) {
      toned[sequence_key(base)].push_back(sequence);
      continue;
    }
    Pictogram pictogram;
    pictogram.key = sequence_key(emoji.code_points);
    pictogram.family = family_key(emoji.code_points);
    pictogram.group = emoji.group;
    pictogram.subgroup = emoji.subgroup;
    pictogram.split = split_of(pictogram.family);
    if (pictogram.family.empty()) pictogram.family = kSignsOfGender;
    for (std::size_t i = 0; i < kLanguages.size(); ++i) pictogram.annotation[i] = annotations[i]->of(to_utf8(sequence));
    if (pictogram.english_name().empty()) pictogram.annotation[0].name = emoji.name;
    sources.pictograms.push_back(std::move(pictogram));
    sources.sequences.push_back(sequence);
  }
  for (const Pictogram& pictogram : sources.pictograms) {
    std::vector<std::u32string> variants = toned[pictogram.key];
    if (variants.size() != kTones.size()) variants.clear();  // two people, each with a tone of their own
    sources.toned.push_back(std::move(variants));
  }
  return sources;
}

/// EmojiOne's files by the code points in their names.
std::map<std::string, fs::path> emojione_files(const fs::path& folder) {
  std::map<std::string, fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".png") continue;
    const std::u32string sequence = parse_code_points(entry.path().stem().string(), '-', entry.path().string());
    files.emplace(joinerless_key(sequence), entry.path());
  }
  return files;
}

/// Names the pictures of each pictogram; those of fonts are drawn at once.
std::vector<Picture> emoji_pictures(const PictogramPackages& packages, EmojiSources& sources) {
  BitmapEmojiFont noto(packages.noto_font());
  OutlineFont symbola(packages.symbola_font(), kOutlinePixels);
  const std::map<std::string, fs::path> emojione = emojione_files(packages.emojione_pictures());
  std::vector<Picture> pictures;
  const auto add_drawn = [&](const std::optional<Drawing>& drawing, std::string path) -> std::string {
    if (!drawing) return {};
    Picture& picture = pictures.emplace_back(Picture{.path = path, .file = {}, .pixels = {}, .fingerprint = {}});
    set_drawing(picture, *drawing, path);
    return path;
  };
  for (std::size_t i = 0; i < sources.pictograms.size(); ++i) {
    Pictogram& pictogram = sources.pictograms[i];
    const std::u32string& sequence = sources.sequences[i];
    auto& [by_noto, by_emojione, by_symbola] = pictogram.picture;
    by_noto = add_drawn(noto.draw(sequence), picture_path(Style::kNoto, pictogram.key));
    if (const auto file = emojione.find(joinerless_key(sequence)); file != emojione.end()) {
      by_emojione = picture_path(Style::kEmojiOne, pictogram.key);
      pictures.push_back({by_emojione, file->second, false, kSide, {}, {}});
    }
    if (sequence.size() == 1)
      by_symbola = add_drawn(symbola.draw(sequence[0]), picture_path(Style::kSymbola, pictogram.key));
    for (std::size_t tone = 0; tone < sources.toned[i].size(); ++tone) {
      const std::u32string& variant = sources.toned[i][tone];
      pictogram.toned[tone] = add_drawn(noto.draw(variant), picture_path(Style::kNoto, sequence_key(variant)));
    }
    if (std::any_of(pictogram.toned.begin(), pictogram.toned.end(), [](const auto& path) { return path.empty(); }))
      pictogram.toned = {};
  }
  return pictures;
}

/// Stamps whose caption is the name of an emoji belong to its family: a concept is in one split, whoever drew it.
std::vector<StampEntry> stamp_entries(const std::vector<Stamp>& stamps, const std::vector<Pictogram>& pictograms,
                                      std::vector<Picture>& pictures) {
  std::unordered_map<std::string, std::string> family_by_name;
  for (const Pictogram& pictogram : pictograms)
    family_by_name.emplace(normalise_caption(pictogram.english_name(), pictogram.key), pictogram.family);
  std::vector<StampEntry> entries;
  for (const Stamp& stamp : stamps) {
    const std::string caption = normalise_caption(stamp.caption, stamp.name);
    const auto family = family_by_name.find(caption);
    std::string key = family == family_by_name.end() ? "stamp:" + caption : family->second;
    const Split split = split_of(key);
    entries.push_back(
        {stamp.name, stamp.caption, std::move(key), fmt::format("{}/{}.png", kStampImages, stamp.name), split});
    pictures.push_back({entries.back().picture, stamp.picture, stamp.is_svg, kStampSide, {}, {}});
  }
  return entries;
}

void draw_from_files(std::vector<Picture>& pictures, const fs::path& svg_converter) {
  parallel_for(std::ssize(pictures), 4, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      Picture& picture = pictures[i];
      if (picture.file.empty()) continue;
      const std::string where = picture.file.string();
      const Drawing drawing = picture.is_svg ? draw_svg(svg_converter, picture.file)
                                             : read_png_drawing(MappedFile(picture.file).bytes(), where);
      set_drawing(picture, drawing, where);
    }
  });
}

/// One artist's drawing of two families would make each the wrong answer for the other: the later one goes. What went,
/// for the notes.
std::vector<std::string> leave_out_repeated(std::vector<Pictogram>& pictograms, std::vector<Picture>& pictures) {
  std::map<std::string, std::size_t> index_of_path;
  for (std::size_t i = 0; i < pictures.size(); ++i) index_of_path[pictures[i].path] = i;
  std::vector<std::string> notes;
  for (Style style : kStyles) {
    std::map<std::string, const Pictogram*> first_with;  // by fingerprint
    for (Pictogram& pictogram : pictograms) {
      std::string& path = pictogram.picture[static_cast<std::size_t>(style)];
      if (path.empty()) continue;
      Picture& picture = pictures[index_of_path.at(path)];
      const auto [first, is_new] = first_with.emplace(picture.fingerprint, &pictogram);
      if (is_new || first->second->family == pictogram.family) continue;
      notes.push_back(fmt::format("{} draws \"{}\" as it draws \"{}\": the second is left out", choice_name(style),
                                  pictogram.english_name(), first->second->english_name()));
      path.clear();
      picture.path.clear();
    }
  }
  std::erase_if(pictures, [](const Picture& picture) { return picture.path.empty(); });
  return notes;
}

void write_pictures(const std::vector<Picture>& pictures, DatasetWriter& out, const PictureProgress& progress) {
  if (progress.start) progress.start(std::ssize(pictures));
  parallel_for(std::ssize(pictures), 16, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      out.write(pictures[i].path, png_bytes(pictures[i].pixels));
      if (progress.advance) progress.advance(1);
    }
  });
}

}  // namespace

Catalogue build_catalogue(const PictogramPackages& packages, DatasetWriter& out, const PictureProgress& progress) {
  Catalogue catalogue;
  EmojiSources sources = read_emoji(packages);
  std::vector<Picture> pictures = emoji_pictures(packages, sources);
  catalogue.pictograms = std::move(sources.pictograms);

  std::vector<Stamp> stamps = read_stamps(packages.stamps());
  if (packages.svg_converter().empty()) {
    const auto left_out = std::erase_if(stamps, [](const Stamp& stamp) { return stamp.is_svg; });
    catalogue.notes.push_back(
        fmt::format("{} stamps are SVG and left out: rsvg-convert (package librsvg2-bin) is not installed", left_out));
  }
  catalogue.stamps = stamp_entries(stamps, catalogue.pictograms, pictures);
  draw_from_files(pictures, packages.svg_converter());
  catalogue.counts = count_splits(catalogue.pictograms, catalogue.stamps);
  for (std::string& note : leave_out_repeated(catalogue.pictograms, pictures))
    catalogue.notes.push_back(std::move(note));
  catalogue.hypernym_pairs = read_hypernym_pairs(packages.wordnet());
  write_pictures(pictures, out, progress);
  return catalogue;
}

}  // namespace trireme
