#include "answering/fingerprint_of.h"

#include <mutex>
#include <vector>

#include "core/config/field_count.h"
#include "core/distributed/agreement.h"
#include "core/io/file.h"
#include "core/io/file_stamp.h"
#include "core/io/hash.h"
#include "core/parallel.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

static_assert(field_count<DecoderConfig>() == 11, "text_of() must show every field that values follow from");
std::string text_of(const DecoderConfig& c) {
  return fmt::format("{} {} {} {} {} {} {} {} {} [{}] {}", c.vocab_size, c.hidden_size, c.intermediate_size, c.layers,
                     c.heads, c.kv_heads, c.head_dim, c.rms_norm_eps, c.rope_theta, fmt::join(c.mrope_section, " "),
                     c.tie_word_embeddings);
}

static_assert(field_count<VisionConfig>() == 12, "text_of() must show every field that values follow from");
std::string text_of(const VisionConfig& c) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} [{}] {}", c.depth, c.embed_dim, c.heads, c.in_channels,
                     c.out_hidden_size, c.intermediate_size, c.patch_size, c.merge_size, c.temporal_patch_size,
                     c.window_size, fmt::join(c.full_attention_blocks, " "), c.activation);
}

// The dtype that config.json names is not in it: weights are read in that which their file has.
static_assert(field_count<ModelConfig>() == 8, "text_of() must show every field that values follow from");
std::string text_of(const ModelConfig& c) {
  return fmt::format("{}\n{}\n{}\n{} {} {} {}", family_name(c.family), text_of(c.decoder),
                     c.vision ? text_of(*c.vision) : "no vision", c.image_token_id, c.video_token_id,
                     c.vision_start_token_id, c.vision_end_token_id);
}

// All but the pixel limits, which are a part of their own.
static_assert(field_count<ImageProcessorConfig>() == 10, "text_of() must show every field that values follow from");
std::string text_of(const ImageProcessorConfig& c) {
  return fmt::format("{} {} {} [{}] [{}] {} {} {}", c.patch_size, c.merge_size, c.temporal_patch_size,
                     fmt::join(c.mean, " "), fmt::join(c.std, " "), c.rescale_factor,
                     static_cast<int>(c.smart_resize_rule), static_cast<int>(c.pass_order));
}

/// What each adapted module multiplies its product with: alpha, rank, patterns and rsLoRA in one.
std::string scales_of(const Adapter& adapter) {
  std::string text;
  for (const auto& [module, pair] : adapter.modules) text += fmt::format("{} {}\n", module, pair.scale);
  return text;
}

}  // namespace

Fingerprint folder_fingerprint(const fs::path& folder, const ModelConfig& model, const Adapter* adapter) {
  using enum FingerprintPart;
  Fingerprint fingerprint;
  fingerprint.set(kAdapterWeights, "none");
  fingerprint.set(kAdapterConfiguration, "none");
  if (adapter != nullptr) {
    fingerprint.set(kAdapterWeights, adapter->sha256);
    fingerprint.set_hash_of(kAdapterConfiguration, scales_of(*adapter));
  }
  fingerprint.set_hash_of(kModelConfiguration, text_of(model));
  const fs::path tokenizer = folder / "tokenizer.json";
  fingerprint.set(kTokenizer, sha256_hex_of_files(std::span(&tokenizer, 1)));
  return fingerprint;
}

Fingerprint image_fingerprint(const ImageProcessorConfig& processor) {
  using enum FingerprintPart;
  Fingerprint fingerprint;
  fingerprint.set_hash_of(kImageProcessor, text_of(processor));
  fingerprint.set(kPixelLimits, fmt::format("{} to {}", processor.min_pixels, processor.max_pixels));
  return fingerprint;
}

Fingerprint with_records(Fingerprint model, const RecordFile& records, Communicator& communicator) {
  using enum FingerprintPart;
  Fingerprint own;
  if (communicator.rank() == 0) {
    RecordContents contents = records.contents();
    own.set(kRecords, std::move(contents.records));
    own.set(kInstructions, std::move(contents.instructions));
  }
  model.add(Fingerprint::from_json(broadcast_string(communicator, own.json(), 0), "records"));
  if (!records.first_image_row())
    for (const FingerprintPart part : {kImageProcessor, kPixelLimits, kAlpha}) model.drop(part);
  return model;
}

ImageDigest summed(const ImageDigest& mine, Communicator& communicator) {
  if (communicator.size() == 1) return mine;
  ImageDigest::Lanes sums{};
  for (std::size_t lane = 0; lane < sums.size(); ++lane)
    for (const int64_t each : all_gather_int64(communicator, static_cast<int64_t>(mine.lanes()[lane])))
      sums[lane] += static_cast<uint64_t>(each);
  return ImageDigest(sums);
}

ImageDigest digest_images(const RecordFile& records, const ImageRoot& image_root, ImageFacts facts,
                          OnDataError on_error, Communicator& communicator) {
  constexpr int64_t kRowsPerThread = 64;
  const int64_t rank = communicator.rank(), ranks = communicator.size();
  const auto add = [&](int64_t row, const std::string& image, ImageDigest& to) {
    const fs::path path = resolve_image(image_root, image, records.where(row));
    if (facts == ImageFacts::kContent) return to.add(row, MappedFile(path).bytes());
    const std::string stamp = file_stamp(path);
    to.add(row, std::as_bytes(std::span(stamp)));
  };
  ImageDigest digest;
  std::mutex mutex;  // of `digest`
  parallel_for((records.size() - rank + ranks - 1) / ranks, kRowsPerThread, [&](int64_t begin, int64_t end) {
    ImageDigest part;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = rank + i * ranks;
      const std::string image = records.read(row).image;
      if (image.empty()) continue;
      try {
        add(row, image, part);
      } catch (const DataError&) {
        if (on_error == OnDataError::kStop) throw;
      }
    }
    const std::lock_guard lock(mutex);
    digest += part;
  });
  return summed(digest, communicator);
}

}  // namespace trireme
