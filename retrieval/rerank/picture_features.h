#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/tensor.h"
#include "data/image/preprocess.h"
#include "models/lmm.h"
#include "retrieval/rerank/scorer_config.h"

namespace trireme {

/// A picture behind the vision tower.
struct EncodedPicture {
  ImagePatches shape;  ///< without values
  int64_t tokens = 0;
  int64_t first_row = 0;  ///< of its tokens in EncodedPictures::features
};

/// The pictures of one scoring call: each distinct file read and encoded once.
struct EncodedPictures {
  std::unordered_map<std::string, EncodedPicture> by_path;
  torch::Tensor features;  ///< [image tokens, D] in the model's dtype; undefined without pictures
};

/// A record's picture, and what messages call the record.
struct PictureUse {
  std::string path, where;
};

/// Reads, resizes and encodes them. Without gradient. Memory: the features of all, D values an image token, and the
/// patches of a few pictures at a time; a picture's features do not depend on the others.
/// throws DataError naming the record and its picture: missing, unreadable, of an impossible size; a text-only model.
EncodedPictures encode_pictures(const Lmm& model, const RerankInput& input, std::span<const PictureUse> uses);

}  // namespace trireme
