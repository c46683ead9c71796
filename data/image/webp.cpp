#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
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
struct ReleaseFrame {
  void operator()(WebPIterator* frame) const { WebPDemuxReleaseIterator(frame); }
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

/// The first frame, which in a still file is the image, with `channels` 3 or 4. The demuxer has checked that it lies
/// within the canvas. Its bytes alone are handed over: from the whole file the decoder would read on past their end.
/// The buffer is not cleared first: of a frame that claims more than it holds, little is then ever touched.
std::unique_ptr<uint8_t[]> decode_frame(const WebPIterator& frame, int channels, std::string_view where) {
  const std::size_t bytes = static_cast<std::size_t>(frame.width) * frame.height * channels;
  auto pixels = std::make_unique_for_overwrite<uint8_t[]>(bytes);
  WebPDecoderConfig config;
  TRIREME_ASSERT(WebPInitDecoderConfig(&config), "libwebp's header and library differ");
  config.output.colorspace = channels == 4 ? MODE_RGBA : MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA = {.rgba = pixels.get(), .stride = frame.width * channels, .size = bytes};
  require(WebPDecode(frame.fragment.bytes, frame.fragment.size, &config), frame.fragment.size, where);
  return pixels;
}

std::vector<uint8_t> rgb_over_white(const uint8_t* rgba, std::size_t count) {
  std::vector<uint8_t> rgb(count * 3);
  for (uint8_t* out = rgb.data(); count > 0; --count, out += 3, rgba += 4) {
    for (int channel = 0; channel < 3; ++channel) out[channel] = over_white(rgba[channel], rgba[3]);
  }
  return rgb;
}

/// A frame that does not fill the canvas lies on transparent black.
RgbImage on_canvas(std::vector<uint8_t> rgb, const WebPIterator& frame, const WebPBitstreamFeatures& canvas,
                   bool white) {
  if (frame.width == canvas.width && frame.height == canvas.height)
    return {canvas.height, canvas.width, std::move(rgb)};
  RgbImage image{canvas.height, canvas.width,
                 std::vector<uint8_t>(static_cast<std::size_t>(canvas.height) * canvas.width * 3, white ? 255 : 0)};
  for (int64_t y = 0; y < frame.height; ++y) {
    std::copy_n(rgb.data() + y * frame.width * 3, frame.width * 3,
                image.pixels.data() + ((y + frame.y_offset) * canvas.width + frame.x_offset) * 3);
  }
  return image;
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

  WebPIterator frame{};
  const std::unique_ptr<WebPIterator, ReleaseFrame> release(&frame);
  if (!WebPDemuxGetFrame(demuxer.get(), 1, &frame)) throw_corrupt("WebP", "no frame", where);
  const bool composite = features.has_alpha && alpha == AlphaMode::kWhite;
  const auto samples = decode_frame(frame, composite ? 4 : 3, where);
  const std::size_t count = static_cast<std::size_t>(frame.width) * frame.height;
  std::vector<uint8_t> rgb =
      composite ? rgb_over_white(samples.get(), count) : std::vector<uint8_t>(samples.get(), samples.get() + count * 3);
  return {.image = on_canvas(std::move(rgb), frame, features, composite),
          .orientation = stored_orientation(demuxer.get())};
}

}  // namespace trireme
