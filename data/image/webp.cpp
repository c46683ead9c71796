#include <memory>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include "core/error.h"
#include "data/image/codec.h"
#include "data/image/orientation.h"

namespace trireme {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};
struct DeleteAnimation {
  void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

std::string_view status_text(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY:
      return "out of memory";
    case VP8_STATUS_BITSTREAM_ERROR:
      return "bitstream error";
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "unsupported feature";
    default:
      return "decoding error";
  }
}

void require(VP8StatusCode status, std::size_t bytes, std::string_view where) {
  if (status == VP8_STATUS_OK) return;
  if (status == VP8_STATUS_SUSPENDED || status == VP8_STATUS_NOT_ENOUGH_DATA) throw_truncated("WebP", bytes, where);
  throw_corrupt("WebP", status_text(status), where);
}

std::span<const std::byte> chunk(const WebPDemuxer* demuxer, const char* name) {
  WebPChunkIterator chunks;
  if (!WebPDemuxGetChunk(demuxer, name, 1, &chunks)) return {};
  const auto bytes = std::as_bytes(std::span(chunks.chunk.bytes, chunks.chunk.size));  // lies in the file
  WebPDemuxReleaseChunkIterator(&chunks);
  return bytes;
}

int stored_orientation(const WebPDemuxer* demuxer) {
  const auto xmp = chunk(demuxer, "XMP ");
  return find_orientation(chunk(demuxer, "EXIF"), {reinterpret_cast<const char*>(xmp.data()), xmp.size()});
}

void append_over_white(const uint8_t* rgba, int64_t count, std::vector<uint8_t>& rgb) {
  const std::size_t done = rgb.size();
  rgb.resize(done + static_cast<std::size_t>(count) * 3);
  for (uint8_t* out = rgb.data() + done; count > 0; --count, rgba += 4, out += 3) {
    for (int channel = 0; channel < 3; ++channel) out[channel] = over_white(rgba[channel], rgba[3]);
  }
}

/// A still image, with `channels` 3 (alpha dropped) or 4.
std::vector<uint8_t> decode_still(std::span<const std::byte> bytes, std::string_view where,
                                  const WebPBitstreamFeatures& size, int channels) {
  std::vector<uint8_t> pixels(static_cast<std::size_t>(size.width) * size.height * channels);
  WebPDecoderConfig config;
  TRIREME_ASSERT(WebPInitDecoderConfig(&config), "libwebp's header and library differ");
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {.rgba = pixels.data(), .stride = size.width * channels, .size = pixels.size()};
  require(WebPDecode(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), &config), bytes.size(), where);
  return pixels;
}

}  // namespace

DecodedImage decode_webp(std::span<const std::byte> bytes, std::string_view where, AlphaMode alpha) {
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(data, bytes.size(), &features), bytes.size(), where);
  check_pixel_count(features.height, features.width, where);
  const WebPData whole{.bytes = data, .size = bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemuxPartial(&whole, &state));
  if (state != WEBP_DEMUX_DONE) {
    if (state == WEBP_DEMUX_PARSE_ERROR) throw_corrupt("WebP", "damaged chunks", where);
    throw_truncated("WebP", bytes.size(), where);
  }

  DecodedImage decoded{.image = {.height = features.height, .width = features.width, .pixels = {}},
                       .orientation = stored_orientation(demuxer.get())};
  std::vector<uint8_t>& pixels = decoded.image.pixels;
  const bool composite = features.has_alpha && alpha == AlphaMode::kWhite;
  const int64_t count = decoded.image.height * decoded.image.width;
  if (!features.has_animation && !composite) {
    pixels = decode_still(bytes, where, features, 3);
  } else if (!features.has_animation) {
    append_over_white(decode_still(bytes, where, features, 4).data(), count, pixels);
  } else {
    const std::unique_ptr<WebPAnimDecoder, DeleteAnimation> animation(WebPAnimDecoderNew(&whole, nullptr));
    uint8_t* canvas = nullptr;
    int timestamp_ms = 0;
    if (!animation || !WebPAnimDecoderGetNext(animation.get(), &canvas, &timestamp_ms)) {
      throw_corrupt("WebP", "first frame unreadable", where);
    }
    if (composite) {
      append_over_white(canvas, count, pixels);
    } else {
      pixels.resize(static_cast<std::size_t>(count) * 3);
      for (int64_t i = 0; i < count; ++i) std::copy_n(canvas + 4 * i, 3, pixels.data() + 3 * i);
    }
  }
  return decoded;
}

}  // namespace trireme
