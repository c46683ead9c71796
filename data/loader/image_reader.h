#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/rng.h"
#include "data/loader/data_config.h"
#include "data/loader/image_cache.h"
#include "data/loader/model_input.h"
#include "data/loader/training_set.h"
#include "data/sources/records.h"

namespace trireme {

/// Refuses pairs with images, before any is read, where none could be. throws DataError: a text-only model; no folder
/// of images.
void require_images_fit(const TrainingSet& set, const DataConfig& config, const ModelInput& model);

/// Image files as a model takes them: opened below the root, decoded, turned upright, composited, augmented, resized,
/// cut into patches. Safe to use from several threads.
class ImageReader {
 public:
  using OnBytes = std::function<void(std::span<const std::byte>)>;

  /// processor: the model's image preprocessing; empty for a text-only model.
  ImageReader(ImageRoot root, std::optional<ImageProcessorConfig> processor, AlphaMode alpha);
  /// As training reads them: with augmentation, and decoded images kept in memory.
  /// throws ConfigError: min_pixels above max_pixels.
  ImageReader(const DataConfig& config, const ModelInput& model);

  /// path: as a record has it.          where: the record, for messages.
  /// stream: what augmentation draws from; none without it.
  /// on_bytes: is shown the file's bytes, unless the image was kept in memory.
  /// throws DataError naming the record and its image: missing, unreadable, of an impossible size, or a text-only
  /// model.
  ImagePatches read(const std::string& path, const std::string& where, std::optional<RandomStream> stream = {},
                    const OnBytes& on_bytes = {}) const;

  /// Image tokens of an image, and the most that one can take; 0 for a text-only model.
  int64_t tokens_of(const ImagePatches& image) const;
  int64_t most_tokens() const;

 private:
  ImageRoot root_;
  std::optional<ImageProcessorConfig> processor_;
  AlphaMode alpha_;
  AugmentConfig augment_;
  std::unique_ptr<ImageCache> cache_;  ///< null: nothing is kept
};

}  // namespace trireme
