#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

// In this order: jpeglib.h needs <cstdio>, and jerror.h numbers its messages by what jpeglib.h defines.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include "core/error.h"
#include "data/image/codec.h"
#include "data/image/orientation.h"

namespace trireme {
namespace {

/// A progressive file may hold any number of scans of no content, each a pass over all coefficients; real ones have
/// ten.
constexpr int kMaxScans = 500;
constexpr int kRowsPerCall = 16;

/// One decompressor with its error, source and progress hooks. libjpeg reports errors by leaving through `jump`: every
/// call into it is made from the static functions below that begin with do_, whose frames hold nothing that needs a
/// destructor.
class JpegReader {
 public:
  explicit JpegReader(std::span<const std::byte> bytes) {
    info_.err = jpeg_std_error(&errors_);
    errors_.error_exit = [](j_common_ptr info) { self(info).leave(); };
    errors_.emit_message = &on_message;
    errors_.output_message = [](j_common_ptr) {};
    info_.client_data = this;
    source_.init_source = source_.term_source = [](j_decompress_ptr) {};
    source_.fill_input_buffer = &on_end_of_bytes;
    source_.skip_input_data = &on_skip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    progress_.progress_monitor = &on_progress;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  bool read_header() noexcept { return guarded(&do_read_header, nullptr); }
  bool start() noexcept { return guarded(&do_start, nullptr); }
  /// The next kRowsPerCall rows, fewer at the end.
  bool read_rows(uint8_t* rows) noexcept { return guarded(&do_read_rows, rows); }
  bool finish() noexcept { return guarded(&do_finish, nullptr); }

  const jpeg_decompress_struct& info() const noexcept { return info_; }
  bool truncated() const noexcept { return truncated_; }
  const char* message() const noexcept { return message_; }

 private:
  static JpegReader& self(j_common_ptr info) { return *static_cast<JpegReader*>(info->client_data); }

  bool guarded(void (*call)(JpegReader&, uint8_t*), uint8_t* rows) noexcept {
    if (setjmp(jump_)) return false;
    call(*this, rows);
    return true;
  }

  [[noreturn]] void leave() noexcept {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&info_), message_);
    longjmp(jump_, 1);
  }

  /// libjpeg warns and goes on, inventing what is missing; those warnings that mean lost image data end the decoding.
  static void on_message(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
      case JWRN_ARITH_BAD_CODE:
      case JWRN_HIT_MARKER:
      case JWRN_HUFF_BAD_CODE:
      case JWRN_MUST_RESYNC:
        self(info).leave();
      default:
        return;
    }
  }

  static boolean on_end_of_bytes(j_decompress_ptr info) {
    JpegReader& reader = self(reinterpret_cast<j_common_ptr>(info));
    reader.truncated_ = true;
    reader.leave();
  }

  static void on_skip(j_decompress_ptr info, long bytes) {
    if (bytes <= 0) return;
    if (static_cast<std::size_t>(bytes) > info->src->bytes_in_buffer) on_end_of_bytes(info);
    info->src->next_input_byte += bytes;
    info->src->bytes_in_buffer -= static_cast<std::size_t>(bytes);
  }

  static void on_progress(j_common_ptr info) {
    JpegReader& reader = self(info);
    if (reader.info_.input_scan_number <= kMaxScans) return;
    std::snprintf(reader.message_, sizeof reader.message_, "more than %d scans", kMaxScans);
    longjmp(reader.jump_, 1);
  }

  static void do_read_header(JpegReader& reader, uint8_t*) {
    constexpr unsigned kWholeMarker = 0xFFFF;
    jpeg_create_decompress(&reader.info_);
    reader.info_.src = &reader.source_;
    reader.info_.progress = &reader.progress_;
    jpeg_save_markers(&reader.info_, JPEG_APP0 + 1, kWholeMarker);
    jpeg_read_header(&reader.info_, TRUE);
  }
  static void do_start(JpegReader& reader, uint8_t*) {
    jpeg_decompress_struct& info = reader.info_;
    info.out_color_space = info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
  }
  static void do_read_rows(JpegReader& reader, uint8_t* rows) {
    jpeg_decompress_struct& info = reader.info_;
    const std::size_t row_bytes = std::size_t{info.output_width} * info.output_components;
    const JDIMENSION end = std::min(info.output_scanline + kRowsPerCall, info.output_height);
    while (info.output_scanline < end) {
      uint8_t* row = rows;
      rows += row_bytes * jpeg_read_scanlines(&info, &row, 1);
    }
  }
  static void do_finish(JpegReader& reader, uint8_t*) { jpeg_finish_decompress(&reader.info_); }

  jpeg_decompress_struct info_{};
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  bool truncated_ = false;
  char message_[JMSG_LENGTH_MAX] = {};
};

/// Adobe's CMYK, the only one in use, stores 255 - ink. Pillow's formula for RGB, in its rounding.
void append_rgb_of_inverted_cmyk(const uint8_t* cmyk, int64_t count, std::vector<uint8_t>& rgb) {
  for (int64_t i = 0; i < count; ++i, cmyk += 4) {
    const uint32_t white = cmyk[3];
    for (int channel = 0; channel < 3; ++channel) {
      const uint32_t ink = (255u - cmyk[channel]) * white + 128u;
      rgb.push_back(static_cast<uint8_t>(white - ((ink + (ink >> 8)) >> 8)));
    }
  }
}

/// EXIF may be spread over several APP1 markers, each with its own prefix; of XMP packets the last counts.
int stored_orientation(const jpeg_decompress_struct& info) {
  static constexpr std::string_view kExif("Exif\0\0", 6), kXmp("http://ns.adobe.com/xap/1.0/\0", 29);
  std::string exif;
  std::string_view xmp;
  for (const jpeg_marker_struct* marker = info.marker_list; marker; marker = marker->next) {
    std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
    if (data.starts_with(kExif)) {
      exif += data.substr(kExif.size());
    } else if (data.starts_with(kXmp)) {
      xmp = data.substr(kXmp.size());
    }
  }
  return find_orientation(std::as_bytes(std::span(exif)), xmp);
}

}  // namespace

DecodedImage decode_jpeg(std::span<const std::byte> bytes, std::string_view where) {
  const auto reader = std::make_unique<JpegReader>(bytes);
  const auto require = [&](bool done) {
    if (done) return;
    if (reader->truncated()) throw_truncated("JPEG", bytes.size(), where);
    throw_corrupt("JPEG", reader->message(), where);
  };
  require(reader->read_header());
  const jpeg_decompress_struct& info = reader->info();
  check_pixel_count(info.image_height, info.image_width, where);
  TRIREME_CHECK(info.num_components == 1 || info.num_components == 3 || info.num_components == 4, DataError, where,
                "a JPEG must be grey, RGB or CMYK; got {} components; convert it.", info.num_components);
  require(reader->start());

  DecodedImage decoded{.image = {.height = info.output_height, .width = info.output_width, .pixels = {}},
                       .orientation = stored_orientation(info)};
  // Grown as rows arrive: a file that claims more than it holds never has its claim allocated page by page.
  std::vector<uint8_t>& pixels = decoded.image.pixels;
  const int64_t width = info.output_width;
  pixels.reserve(static_cast<std::size_t>(decoded.image.height * width * 3));
  std::vector<uint8_t> cmyk(info.output_components == 4 ? static_cast<std::size_t>(kRowsPerCall * width * 4) : 0);
  while (info.output_scanline < info.output_height) {
    const int64_t rows = std::min<int64_t>(kRowsPerCall, info.output_height - info.output_scanline);
    if (cmyk.empty()) {
      const std::size_t done = pixels.size();
      pixels.resize(done + static_cast<std::size_t>(rows * width * 3));
      require(reader->read_rows(pixels.data() + done));
    } else {
      require(reader->read_rows(cmyk.data()));
      append_rgb_of_inverted_cmyk(cmyk.data(), rows * width, pixels);
    }
  }
  require(reader->finish());
  return decoded;
}

}  // namespace trireme
