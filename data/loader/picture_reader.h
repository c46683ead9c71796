#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "core/rng.h"
#include "data/loader/data_config.h"
#include "data/loader/model_input.h"
#include "data/loader/packer.h"
#include "data/loader/picture_cache.h"
#include "data/loader/training_set.h"
#include "data/sources/records.h"

namespace trireme {

/// The checkpoint's image preprocessing with data's pixel limits, where these are set; empty for a text-only model.
/// throws ConfigError: min_pixels above max_pixels.
std::optional<ImageProcessorConfig> with_pixel_limits(std::optional<ImageProcessorConfig> processor,
                                                      const DataConfig& config);

/// Refuses pairs with pictures, before any is read, where none could be. throws DataError: a text-only model; no folder
/// of pictures.
void require_pictures_fit(const TrainingSet& set, const DataConfig& config, const ModelInput& model);

/// Pictures as training takes them: decoded, augmented, resized, cut into patches. Safe to use from several threads.
class PictureReader {
 public:
  /// throws ConfigError: min_pixels above max_pixels.
  PictureReader(const DataConfig& config, const ModelInput& model);

  /// path: as a record has it. stream: what augmentation draws from. where: the record, for messages.
  /// throws DataError naming the record and its image: missing, unreadable, of an impossible size, or a text-only
  /// model.
  ImagePatches read(const std::string& path, RandomStream stream, const std::string& where) const;

  /// Image tokens of a picture, and the most that one can take; 0 for a text-only model.
  int64_t tokens_of(const ImagePatches& picture) const;
  int64_t most_tokens() const;

  const PackOptions& pack_options() const noexcept { return pack_; }

 private:
  ImageRoot image_root_;
  std::optional<ImageProcessorConfig> processor_;
  AlphaMode alpha_;
  AugmentConfig augment_;
  PackOptions pack_;
  std::unique_ptr<PictureCache> cache_;
};

}  // namespace trireme
