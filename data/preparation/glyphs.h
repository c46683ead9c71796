#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "data/preparation/drawing.h"

namespace trireme {

/// A colour font of bitmaps (CBDT), such as Noto Color Emoji. One thread at a time.
class BitmapEmojiFont {
 public:
  /// throws DataError: missing, not a font, without bitmaps.
  explicit BitmapEmojiFont(const std::filesystem::path& file);
  ~BitmapEmojiFont();
  /// The picture of a sequence (without U+FE0F), at the font's own size; nullopt when the font does not draw it as one
  /// glyph. throws DataError: a damaged bitmap.
  std::optional<Drawing> draw(std::u32string_view sequence);

 private:
  struct Faces;
  std::unique_ptr<Faces> faces_;
};

/// A font of outlines, drawn in black with smooth edges, without hinting. One thread at a time.
class OutlineFont {
 public:
  /// throws DataError: missing, not a font.
  OutlineFont(const std::filesystem::path& file, int64_t pixels);
  ~OutlineFont();
  /// nullopt when the font has no such character, or nothing to see in it.
  std::optional<Drawing> draw(char32_t character);

 private:
  struct Faces;
  std::unique_ptr<Faces> faces_;
};

}  // namespace trireme
