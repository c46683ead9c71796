#include "data/loader/pair_encoder.h"

#include "core/error.h"
#include "core/io/file.h"
#include "data/sources/records.h"

namespace trireme {
namespace {

std::optional<ImageProcessorConfig> processor_of(const DataConfig& config, const ModelInput& model) {
  if (!model.image_processor) return std::nullopt;
  ImageProcessorConfig processor = *model.image_processor;
  processor.min_pixels = config.min_pixels.value_or(processor.min_pixels);
  processor.max_pixels = config.max_pixels.value_or(processor.max_pixels);
  TRIREME_CHECK(processor.min_pixels <= processor.max_pixels, ConfigError, "data",
                "min_pixels must be at most max_pixels; got {} and {}, the checkpoint's where not set; change data's.",
                processor.min_pixels, processor.max_pixels);
  return processor;
}

}  // namespace

PairEncoder::PairEncoder(const DataConfig& config, const ModelInput& model, uint64_t seed)
    : image_root_(config.image_root.value_or(config.root)),
      image_processor_(processor_of(config, model)),
      alpha_(config.alpha),
      augment_(config.augment),
      seed_(seed),
      pictures_(config.picture_cache_mib << 20),
      pack_{.rope_mode = config.rope_mode,
            .image_token_id = model.image_token_id,
            .merge_size = image_processor_ ? image_processor_->merge_size : 2},
      chat_(model.tokenizer, model.image_token_id, config.system_prompt),
      prompt_(model.tokenizer, chat_, {.form = config.prompt, .text_tokens = config.text_tokens}) {}

EncodedPair PairEncoder::encode(TrainingPair pair, int64_t step, int64_t global_row) {
  EncodedPair out{.pair = std::move(pair), .query = {}, .target = {}, .hard_negatives = {}};
  const auto place = [&](const Record& record) { return fmt::format("{} {}", out.pair.where, record.id); };
  out.query = encode_record(out.pair.query, random_stream(seed_, "data.augment.query", step, global_row),
                            place(out.pair.query));
  out.target = encode_record(out.pair.target, random_stream(seed_, "data.augment.target", step, global_row),
                             place(out.pair.target));
  const auto negatives = std::ssize(out.pair.hard_negatives);
  for (const Record& negative : out.pair.hard_negatives) {
    const int64_t number = global_row * negatives + std::ssize(out.hard_negatives);
    out.hard_negatives.push_back(
        encode_record(negative, random_stream(seed_, "data.augment.hard_negative", step, number), place(negative)));
  }
  return out;
}

EncodedSequence PairEncoder::encode_record(const Record& record, RandomStream stream, const std::string& where) {
  EncodedSequence out;
  std::optional<int64_t> image_tokens;
  if (!record.image.empty()) {
    TRIREME_CHECK(image_processor_.has_value(), DataError, where,
                  "a text-only model takes records without images; got {}; use a vision-language checkpoint.",
                  record.image);
    const std::string place = fmt::format("{} {}", where, record.image);
    const std::shared_ptr<const RgbImage> picture = pictures_.get(record.image, [&] {
      const MappedFile file(resolve_image(image_root_, record.image, where));
      return decode_image(file.bytes(), place, alpha_);
    });
    out.images.push_back(augment_.is_off()
                             ? preprocess_image(*picture, *image_processor_, place)
                             : preprocess_image(augment(*picture, augment_, stream), *image_processor_, place));
    const ImagePatches& patches = out.images[0];
    image_tokens = patches.grid_h * patches.grid_w / (image_processor_->merge_size * image_processor_->merge_size);
  }
  out.tokens = prompt_.encode(record.text, image_tokens, where);
  return out;
}

int64_t PairEncoder::estimated_tokens(const PairSize& size) const {
  constexpr int64_t kBytesPerToken = 4, kFrameTokens = 50;
  int64_t image_tokens = 0;
  if (image_processor_) {
    const int64_t side = image_processor_->patch_size * image_processor_->merge_size;
    image_tokens = image_processor_->max_pixels / (side * side);
  }
  return kFrameTokens + size.text_bytes / kBytesPerToken + size.images * image_tokens;
}

}  // namespace trireme
