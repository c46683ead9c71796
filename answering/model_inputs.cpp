#include "answering/model_inputs.h"

#include "core/error.h"

namespace trireme {

namespace fs = std::filesystem;

ModelInputs::ModelInputs(const fs::path& folder, const ModelConfig& model_shape)
    : shape(model_shape),
      tokenizer(Tokenizer::from_file(folder / "tokenizer.json")),
      image_processor(image_processor_of(folder, shape)) {}

std::optional<ImageProcessorConfig> image_processor_of(const fs::path& checkpoint, const ModelConfig& model) {
  if (!model.vision) return std::nullopt;
  const ImageProcessorConfig processor = read_image_processor_config(checkpoint);
  const VisionConfig& vision = *model.vision;
  TRIREME_CHECK(
      processor.patch_size == vision.patch_size && processor.merge_size == vision.merge_size &&
          processor.temporal_patch_size == vision.temporal_patch_size,
      DataError, checkpoint.string(),
      "preprocessor_config.json must cut patches as config.json's vision_config says (patch, merge, temporal); "
      "got {}, {}, {} and {}, {}, {}; take both files from the same checkpoint.",
      processor.patch_size, processor.merge_size, processor.temporal_patch_size, vision.patch_size, vision.merge_size,
      vision.temporal_patch_size);
  return processor;
}

void require_fits(const RecordFile& records, const ModelConfig& model, const ImageRoot& image_root) {
  const auto image_row = records.first_image_row();
  if (!image_row) return;
  TRIREME_CHECK(model.vision.has_value(), DataError, records.where(*image_row),
                "a text-only model ({}) takes records without images; got {}; use a vision-language checkpoint.",
                family_name(model.family), records.read(*image_row).image);
  TRIREME_CHECK(fs::is_directory(image_root.folder), DataError, records.where(*image_row),
                "image_root must be a folder where a record has an image; got {}; give it.",
                image_root.folder.empty() ? "none" : image_root.folder.string() + ", which is no folder");
}

void log_unused(const std::vector<std::string>& unused, Log& log) {
  for (const std::string& what : unused) log.info("not used: {}", what);
}

}  // namespace trireme
