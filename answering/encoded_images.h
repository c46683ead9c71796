#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "core/tensor.h"
#include "data/image/image.h"
#include "data/image/preprocess.h"
#include "data/loader/packer.h"
#include "data/sources/records.h"
#include "models/lmm.h"

namespace trireme {

/// How images and positions reach the model.
struct ImageInput {
  ImageRoot image_root;
  std::optional<ImageProcessorConfig> image_processor;  ///< empty for a text-only model
  AlphaMode alpha = AlphaMode::kWhite;
  PackOptions pack;
};

/// An image behind the vision tower.
struct EncodedImage {
  ImagePatches shape;  ///< without values
  int64_t tokens = 0;
  int64_t first_row = 0;  ///< of its tokens in EncodedImages::features
};

/// Images that prompts show, each distinct file read and encoded once.
struct EncodedImages {
  std::unordered_map<std::string, EncodedImage> by_path;
  torch::Tensor features;  ///< [image tokens, D] in the model's dtype; undefined without images

  /// That of a record; nullptr where it has none.
  const EncodedImage* of(const Record& record) const {
    return record.image.empty() ? nullptr : &by_path.at(record.image);
  }
};

/// A record's image, and what messages call the record.
struct ImageUse {
  std::string path, where;
};

/// Reads, resizes and encodes them. Without gradient. Memory: the features of all, D values an image token, and the
/// patches of a few images at a time; an image's features do not depend on the others.
/// throws DataError naming the record and its image: missing, unreadable, of an impossible size; a text-only model.
EncodedImages read_and_encode(const Lmm& model, const ImageInput& input, std::span<const ImageUse> uses);

}  // namespace trireme
