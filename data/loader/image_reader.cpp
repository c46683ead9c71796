#include "data/loader/image_reader.h"

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "data/sources/records.h"

namespace trireme {

void require_images_fit(const TrainingSet& set, const DataConfig& config, const ModelInput& model) {
  for (int64_t i = 0; i < set.source_count(); ++i) {
    const std::string where = set.source(i).first_image();
    if (where.empty()) continue;
    TRIREME_CHECK(model.image_processor.has_value(), DataError, where,
                  "a text-only model takes pairs without images; got one with an image; use a vision-language "
                  "checkpoint.");
    const std::filesystem::path root = config.image_root.value_or(config.root);
    std::error_code error;
    TRIREME_CHECK(std::filesystem::is_directory(root, error), DataError, "data.image_root",
                  "pictures must lie in a folder; got {}, which is none; correct the path.", quote_path(root));
  }
}

ImageReader::ImageReader(ImageRoot root, std::optional<ImageProcessorConfig> processor, AlphaMode alpha)
    : root_(std::move(root)), processor_(std::move(processor)), alpha_(alpha) {}

ImageReader::ImageReader(const DataConfig& config, const ModelInput& model)
    : root_(config.image_root.value_or(config.root), config.follow_links),
      processor_(with_pixel_limits(model.image_processor, config, "data")),
      alpha_(config.alpha),
      augment_(config.augment),
      cache_(std::make_unique<ImageCache>(config.picture_cache_mib << 20)) {}

ImagePatches ImageReader::read(const std::string& path, const std::string& where, std::optional<RandomStream> stream,
                               const OnBytes& on_bytes) const {
  TRIREME_CHECK(processor_.has_value(), DataError, where,
                "a text-only model takes records without images; got {}; use a vision-language checkpoint.", path);
  const std::string place = fmt::format("{} {}", where, path);
  const auto decode = [&] {
    const MappedFile file(resolve_image(root_, path, where));
    RgbImage image = decode_image(file.bytes(), place, alpha_);
    if (on_bytes) on_bytes(file.bytes());
    return image;
  };
  const auto image = cache_ ? cache_->get(path, decode) : std::make_shared<const RgbImage>(decode());
  if (!stream || augment_.is_off()) return preprocess_image(*image, *processor_, place);
  return preprocess_image(augment(*image, augment_, *stream), *processor_, place);
}

int64_t ImageReader::tokens_of(const ImagePatches& image) const {
  return image.grid_h * image.grid_w / (processor_->merge_size * processor_->merge_size);
}

int64_t ImageReader::most_tokens() const {
  if (!processor_) return 0;
  const int64_t side = processor_->patch_size * processor_->merge_size;
  return processor_->max_pixels / (side * side);
}

}  // namespace trireme
