#include "data/preparation/glyphs.h"

#include <ft2build.h>
#include <hb.h>
#include FT_FREETYPE_H

#include "core/error.h"
#include "data/image/codec.h"

namespace trireme {
namespace {

struct Freed {
  void operator()(FT_Library library) const { FT_Done_FreeType(library); }
  void operator()(FT_Face face) const { FT_Done_Face(face); }
  void operator()(hb_font_t* font) const { hb_font_destroy(font); }
  void operator()(hb_buffer_t* buffer) const { hb_buffer_destroy(buffer); }
};
template <class T>
using Owned = std::unique_ptr<std::remove_pointer_t<T>, Freed>;

const char* message_of(FT_Error error) {
  const char* text = FT_Error_String(error);  // null where FreeType was built without its texts
  return text ? text : "error";
}

struct Font {
  Owned<FT_Library> library;
  Owned<FT_Face> face;  // goes before the library

  explicit Font(const std::filesystem::path& file) {
    FT_Library opened_library = nullptr;
    TRIREME_ASSERT(FT_Init_FreeType(&opened_library) == 0, "FreeType starts");
    library.reset(opened_library);
    FT_Face opened_face = nullptr;
    const FT_Error error = FT_New_Face(opened_library, file.c_str(), 0, &opened_face);
    TRIREME_CHECK(error == 0, DataError, file.string(),
                  "the file must be a font; got FreeType's \"{}\" ({}); reinstall the package.", message_of(error),
                  error);
    face.reset(opened_face);
  }
};

/// Colour bitmaps come as B, G, R, A with colour already multiplied by alpha.
Drawing drawing_of_bgra(const FT_Bitmap& bitmap) {
  const int64_t height = bitmap.rows, width = bitmap.width;
  Drawing drawing{{height, width, {}}, {}};
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = bitmap.buffer + y * bitmap.pitch;
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t alpha = row[x * 4 + 3];
      for (int64_t c : {2, 1, 0})
        drawing.on_white.pixels.push_back(static_cast<uint8_t>(std::min(row[x * 4 + c] + 255 - alpha, 255)));
      drawing.alpha.push_back(alpha);
    }
  }
  return drawing;
}

Drawing drawing_of_coverage(const FT_Bitmap& bitmap) {
  const int64_t height = bitmap.rows, width = bitmap.width;
  Drawing drawing{{height, width, {}}, {}};
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* row = bitmap.buffer + y * bitmap.pitch;
    for (int64_t x = 0; x < width; ++x) {
      drawing.on_white.pixels.insert(drawing.on_white.pixels.end(), 3, over_white(0, row[x]));
      drawing.alpha.push_back(row[x]);
    }
  }
  return drawing;
}

}  // namespace

struct BitmapEmojiFont::Faces : Font {
  std::string file;
  Owned<hb_font_t*> shaper;
  Owned<hb_buffer_t*> buffer{hb_buffer_create()};

  explicit Faces(const std::filesystem::path& path) : Font(path), file(path.string()) {
    TRIREME_CHECK(FT_HAS_FIXED_SIZES(face.get()) && FT_HAS_COLOR(face.get()) && FT_Select_Size(face.get(), 0) == 0,
                  DataError, file, "the font must have colour bitmaps; got {} sizes; reinstall the package.",
                  face->num_fixed_sizes);
    hb_blob_t* blob = hb_blob_create_from_file(file.c_str());
    hb_face_t* hb_face = hb_face_create(blob, 0);
    shaper.reset(hb_font_create(hb_face));
    hb_face_destroy(hb_face);  // the font keeps what it needs
    hb_blob_destroy(blob);
  }

  /// The glyph that the whole sequence becomes; 0 when it stays several or the font lacks a part.
  FT_UInt glyph_of(std::u32string_view sequence) {
    hb_buffer_reset(buffer.get());
    hb_buffer_add_utf32(buffer.get(), reinterpret_cast<const uint32_t*>(sequence.data()),
                        static_cast<int>(sequence.size()), 0, -1);
    hb_buffer_guess_segment_properties(buffer.get());
    hb_shape(shaper.get(), buffer.get(), nullptr, 0);
    unsigned int count = 0;
    const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer.get(), &count);
    return count == 1 ? glyphs[0].codepoint : 0;
  }
};

BitmapEmojiFont::BitmapEmojiFont(const std::filesystem::path& file) : faces_(std::make_unique<Faces>(file)) {}
BitmapEmojiFont::~BitmapEmojiFont() = default;

std::optional<Drawing> BitmapEmojiFont::draw(std::u32string_view sequence) {
  const FT_UInt glyph = faces_->glyph_of(sequence);
  if (glyph == 0) return std::nullopt;
  const FT_Face face = faces_->face.get();
  const FT_Error error = FT_Load_Glyph(face, glyph, FT_LOAD_COLOR);
  TRIREME_CHECK(
      error == 0 && face->glyph->bitmap.pixel_mode == FT_PIXEL_MODE_BGRA, DataError, faces_->file,
      "glyph {} must be a colour bitmap; got FreeType's \"{}\" ({}); reinstall the package, or use a FreeType "
      "that is built with libpng.",
      glyph, message_of(error), error);
  return drawing_of_bgra(face->glyph->bitmap);
}

struct OutlineFont::Faces : Font {
  using Font::Font;
};

OutlineFont::OutlineFont(const std::filesystem::path& file, int64_t pixels) : faces_(std::make_unique<Faces>(file)) {
  const FT_Error error = FT_Set_Pixel_Sizes(faces_->face.get(), 0, static_cast<FT_UInt>(pixels));
  TRIREME_CHECK(error == 0, DataError, file.string(),
                "the font must have outlines; got FreeType's \"{}\" ({}); reinstall the package.", message_of(error),
                error);
}
OutlineFont::~OutlineFont() = default;

std::optional<Drawing> OutlineFont::draw(char32_t character) {
  const FT_Face face = faces_->face.get();
  const FT_UInt glyph = FT_Get_Char_Index(face, character);
  if (glyph == 0 || FT_Load_Glyph(face, glyph, FT_LOAD_RENDER | FT_LOAD_NO_HINTING) != 0) return std::nullopt;
  const FT_Bitmap& bitmap = face->glyph->bitmap;
  if (bitmap.rows == 0 || bitmap.width == 0 || bitmap.pixel_mode != FT_PIXEL_MODE_GRAY) return std::nullopt;
  return drawing_of_coverage(bitmap);
}

}  // namespace trireme
