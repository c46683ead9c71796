#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <png.h>

#include "core/error.h"
#include "data/image/codec.h"
#include "data/image/orientation.h"

namespace trireme {
namespace {

/// What Pillow allows one text chunk to unpack to; larger ones (bombs) are left out, they hold no image.
constexpr png_alloc_size_t kMaxTextBytes = 1 << 20;
constexpr png_uint_32 kMaxTextChunks = 64;
constexpr png_uint_32 kMaxSide = 0x7FFFFFFF;
/// Deflate's best: 258 bytes for two bits.
constexpr std::size_t kMaxInflation = 1032;

/// One PNG decompressor with its input and error hooks. libpng reports errors by leaving through `jump_`: every call
/// into it that may fail is made from the static functions that begin with do_, whose frames hold nothing with a
/// destructor.
class PngReader {
 public:
  explicit PngReader(std::span<const std::byte> bytes) : rest_(bytes) {}
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  bool read_header() noexcept { return guarded(&do_read_header, nullptr); }
  /// Rows of whole bytes: 1, 2 and 4 bit samples come one to a byte, unscaled.
  bool start() noexcept { return guarded(&do_start, nullptr); }
  bool read_row(uint8_t* row) noexcept { return guarded(&do_read_row, &row); }
  /// All rows at once: the way for interlaced files.
  bool read_rows(uint8_t** rows) noexcept { return guarded(&do_read_rows, rows); }
  bool finish() noexcept { return guarded(&do_finish, nullptr); }

  png_structp png() const noexcept { return png_; }
  png_infop info() const noexcept { return info_; }
  const char* message() const noexcept { return message_; }

 private:
  bool guarded(void (*call)(PngReader&, uint8_t**), uint8_t** rows) noexcept {
    if (setjmp(jump_)) return false;
    call(*this, rows);
    return true;
  }

  static void on_error(png_structp png, png_const_charp message) {
    PngReader& reader = *static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader.message_, sizeof reader.message_, "%s", message);
    longjmp(reader.jump_, 1);
  }

  static void on_read(png_structp png, png_bytep out, std::size_t count) {
    PngReader& reader = *static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader.rest_.size()) png_error(png, "end of file");
    std::memcpy(out, reader.rest_.data(), count);
    reader.rest_ = reader.rest_.subspan(count);
  }

  static void do_read_header(PngReader& reader, uint8_t**) {
    png_structp png = reader.png_ =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, &on_error, [](png_structp, png_const_charp) {});
    if (!png) longjmp(reader.jump_, 1);
    reader.info_ = png_create_info_struct(png);
    png_set_read_fn(png, &reader, &on_read);
    png_set_user_limits(png, kMaxSide, kMaxSide);  // check_pixel_count() sets the limit
    png_set_chunk_malloc_max(png, kMaxTextBytes);
    png_set_chunk_cache_max(png, kMaxTextChunks);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_benign_errors(png, 1);
    // Some writers understate the window in zlib's header; zlib by itself, and so Pillow, does not mind.
    png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    // Gamma, colour profiles and the like are skipped, as Pillow ignores them; text and EXIF may name the orientation.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_AS_DEFAULT, reinterpret_cast<const uint8_t*>("tEXt\0zTXt\0iTXt"),
                                3);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_ALWAYS, reinterpret_cast<const uint8_t*>("eXIf"), 1);
    png_read_info(png, reader.info_);
  }
  static void do_start(PngReader& reader, uint8_t**) {
    png_set_packing(reader.png_);
    png_set_interlace_handling(reader.png_);
    png_read_update_info(reader.png_, reader.info_);
  }
  static void do_read_row(PngReader& reader, uint8_t** row) { png_read_row(reader.png_, *row, nullptr); }
  static void do_read_rows(PngReader& reader, uint8_t** rows) { png_read_image(reader.png_, rows); }
  static void do_finish(PngReader& reader, uint8_t**) { png_read_end(reader.png_, reader.info_); }

  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::span<const std::byte> rest_;
  std::jmp_buf jump_{};
  char message_[128] = "out of memory";
};

/// How samples become RGB. What is transparent (tRNS) is compared as Pillow compares it, quirks included: on 8 bits,
/// with the low byte of the chunk's sample, and for 2 and 4 bit grey after scaling to 8 bits; 16-bit grey, which Pillow
/// clips, is compared whole.
class PngPixels {
 public:
  PngPixels(png_structp png, png_infop info, AlphaMode alpha);
  int sample_bytes() const noexcept { return sample_bytes_; }
  int pixel_bytes() const noexcept { return channels_ * sample_bytes_; }
  bool is_plain_rgb() const noexcept { return channels_ == 3 && sample_bytes_ == 1 && !has_transparent_; }
  void to_rgb(const uint8_t* samples, int64_t count, uint8_t* rgb) const noexcept;

 private:
  void fill_palette(png_structp png, png_infop info);
  void fill_grey(int depth, std::optional<uint16_t> transparent);
  void set_entry(int index, const uint8_t (&rgb)[3], uint8_t alpha);
  uint8_t alpha_of(const uint8_t* pixel) const noexcept;

  int channels_ = 0, sample_bytes_ = 1;
  bool is_indexed_ = false;  ///< 8 bits or less, one channel: through table_
  bool has_alpha_ = false;
  bool has_transparent_ = false;
  bool drop_alpha_ = false;
  png_color_16 transparent_{};
  uint8_t table_[256][3] = {};
};

PngPixels::PngPixels(png_structp png, png_infop info, AlphaMode alpha) : drop_alpha_(alpha == AlphaMode::kDrop) {
  const int colour = png_get_color_type(png, info), depth = png_get_bit_depth(png, info);
  channels_ = png_get_channels(png, info);
  sample_bytes_ = depth == 16 ? 2 : 1;
  has_alpha_ = (colour & PNG_COLOR_MASK_ALPHA) != 0;
  png_color_16p transparent = nullptr;
  if (!has_alpha_ && png_get_tRNS(png, info, nullptr, nullptr, &transparent) && transparent) {
    transparent_ = *transparent;
    has_transparent_ = !drop_alpha_;
  }
  if (colour == PNG_COLOR_TYPE_PALETTE) {
    is_indexed_ = true;
    fill_palette(png, info);
  } else if (colour == PNG_COLOR_TYPE_GRAY && depth <= 8) {
    is_indexed_ = true;
    fill_grey(depth, has_transparent_ ? std::optional(transparent_.gray) : std::nullopt);
  }
}

void PngPixels::set_entry(int index, const uint8_t (&rgb)[3], uint8_t alpha) {
  for (int channel = 0; channel < 3; ++channel) {
    table_[index][channel] = drop_alpha_ ? rgb[channel] : over_white(rgb[channel], alpha);
  }
}

/// Indices beyond the palette are black, as Pillow has them.
void PngPixels::fill_palette(png_structp png, png_infop info) {
  png_colorp palette = nullptr;
  png_bytep alphas = nullptr;
  int colours = 0, alpha_count = 0;
  png_get_PLTE(png, info, &palette, &colours);
  png_get_tRNS(png, info, &alphas, &alpha_count, nullptr);
  for (int i = 0; i < colours; ++i) {
    set_entry(i, {palette[i].red, palette[i].green, palette[i].blue}, alphas && i < alpha_count ? alphas[i] : 255);
  }
}

void PngPixels::fill_grey(int depth, std::optional<uint16_t> transparent) {
  const int levels = 1 << depth;
  for (int i = 0; i < levels; ++i) {
    const auto grey = static_cast<uint8_t>(i * 255 / (levels - 1));
    const bool matches = transparent && (depth == 1 ? (*transparent != 0) == (i != 0) : (*transparent & 0xFF) == grey);
    set_entry(i, {grey, grey, grey}, matches ? 0 : 255);
  }
}

uint8_t PngPixels::alpha_of(const uint8_t* pixel) const noexcept {
  if (drop_alpha_) return 255;
  if (has_alpha_) return pixel[(channels_ - 1) * sample_bytes_];
  if (!has_transparent_) return 255;
  if (channels_ == 1) return (pixel[0] << 8 | pixel[1]) == transparent_.gray ? 0 : 255;
  const bool matches = pixel[0] == (transparent_.red & 0xFF) && pixel[sample_bytes_] == (transparent_.green & 0xFF) &&
                       pixel[2 * sample_bytes_] == (transparent_.blue & 0xFF);
  return matches ? 0 : 255;
}

void PngPixels::to_rgb(const uint8_t* samples, int64_t count, uint8_t* rgb) const noexcept {
  if (is_indexed_) {
    for (int64_t i = 0; i < count; ++i, rgb += 3) std::memcpy(rgb, table_[samples[i]], 3);
    return;
  }
  // 16-bit samples lie high byte first: the high byte is the sample.
  const int step = channels_ < 3 ? 0 : sample_bytes_;
  for (int64_t i = 0; i < count; ++i, samples += pixel_bytes(), rgb += 3) {
    const uint8_t alpha = alpha_of(samples);
    for (int channel = 0; channel < 3; ++channel) rgb[channel] = over_white(samples[channel * step], alpha);
  }
}

/// Whether every chunk up to the last lies within the file: libpng allocates what a length claims before it reads.
bool chunks_are_whole(std::span<const std::byte> bytes) {
  constexpr std::size_t kSignatureBytes = 8, kFrameBytes = 12;  // a chunk's length, type and checksum
  const auto word = [&](std::size_t at) {
    uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[at + i]);
    return value;
  };
  constexpr uint32_t kEnd = 'I' << 24 | 'E' << 16 | 'N' << 8 | 'D';
  for (std::size_t at = kSignatureBytes; bytes.size() - at >= kFrameBytes;) {
    const std::size_t length = word(at), rest = bytes.size() - at - kFrameBytes;
    if (length > rest) return false;
    if (word(at + 4) == kEnd) return true;
    at += kFrameBytes + length;
  }
  return false;
}

/// ImageMagick's way to store EXIF in a text chunk: "\nexif\n<length>\n<hex digits in lines>".
std::string exif_of_raw_profile(std::string_view text) {
  for (int line = 0; line < 3; ++line) {
    const std::size_t end = text.find('\n');
    if (end == text.npos) return {};
    text.remove_prefix(end + 1);
  }
  std::string bytes;
  int high = -1;
  for (const char c : text) {
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) continue;
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<char>(high << 4 | digit));
      high = -1;
    }
  }
  return bytes;
}

/// The chunks before and after the image; of several the last counts, and eXIf goes before text.
int stored_orientation(png_structp png, png_infop info) {
  std::string exif;
  std::string_view xmp;
  png_textp texts = nullptr;
  const int text_count = png_get_text(png, info, &texts, nullptr);
  for (int i = 0; i < text_count; ++i) {
    const std::string_view key(texts[i].key);
    const std::string_view text(texts[i].text, texts[i].text_length ? texts[i].text_length : texts[i].itxt_length);
    if (key == "Raw profile type exif") exif = exif_of_raw_profile(text);
    if (key == "XML:com.adobe.xmp") xmp = text;
  }
  png_unknown_chunkp chunks = nullptr;
  const int chunk_count = png_get_unknown_chunks(png, info, &chunks);
  for (int i = 0; i < chunk_count; ++i) exif.assign(reinterpret_cast<const char*>(chunks[i].data), chunks[i].size);
  return find_orientation(std::as_bytes(std::span(exif)), xmp);
}

}  // namespace

DecodedImage decode_png(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha) {
  if (!chunks_are_whole(bytes)) throw_truncated("PNG", bytes.size(), where);
  const auto reader = std::make_unique<PngReader>(bytes);
  const auto require = [&](bool done) {
    if (!done) throw_corrupt("PNG", reader->message(), where);
  };
  require(reader->read_header());
  const int64_t width = png_get_image_width(reader->png(), reader->info());
  const int64_t height = png_get_image_height(reader->png(), reader->info());
  check_pixel_count(height, width, where);
  const std::size_t stored_bytes = png_get_rowbytes(reader->png(), reader->info()) * static_cast<std::size_t>(height);
  if (stored_bytes / kMaxInflation > bytes.size()) throw_truncated("PNG", bytes.size(), where);
  const bool interlaced = png_get_interlace_type(reader->png(), reader->info()) != PNG_INTERLACE_NONE;
  const PngPixels pixels_of(reader->png(), reader->info(), alpha);
  require(reader->start());

  DecodedImage decoded{.image = {.height = height, .width = width, .pixels = {}}};
  std::vector<uint8_t>& pixels = decoded.image.pixels;
  // Grown as rows arrive: a file that claims more than it holds never has its claim allocated page by page.
  pixels.reserve(static_cast<std::size_t>(height * width * 3));
  const auto append_row = [&] {
    pixels.resize(pixels.size() + static_cast<std::size_t>(width) * 3);
    return pixels.data() + pixels.size() - width * 3;
  };
  const auto row_bytes = static_cast<std::size_t>(width) * static_cast<std::size_t>(pixels_of.pixel_bytes());
  if (interlaced) {
    const auto samples = std::make_unique_for_overwrite<uint8_t[]>(row_bytes * static_cast<std::size_t>(height));
    std::vector<uint8_t*> rows(static_cast<std::size_t>(height));
    for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = samples.get() + y * row_bytes;
    require(reader->read_rows(rows.data()));
    for (uint8_t* row : rows) pixels_of.to_rgb(row, width, append_row());
  } else if (pixels_of.is_plain_rgb()) {
    for (int64_t y = 0; y < height; ++y) require(reader->read_row(append_row()));
  } else {
    std::vector<uint8_t> row(row_bytes);
    for (int64_t y = 0; y < height; ++y) {
      require(reader->read_row(row.data()));
      pixels_of.to_rgb(row.data(), width, append_row());
    }
  }
  require(reader->finish());
  decoded.orientation = stored_orientation(reader->png(), reader->info());
  return decoded;
}

}  // namespace trireme
