#include "retrieval/rerank/picture_features.h"

#include <algorithm>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/io/file.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "data/sources/records.h"

namespace trireme {
namespace {

/// Decoded and encoded together: bounds the patches in memory.
constexpr std::size_t kPicturesAtOnce = 32;

ImagePatches read_picture(const RerankInput& input, const PictureUse& use) {
  TRIREME_CHECK(input.image_processor.has_value(), DataError, use.where,
                "a text-only model takes records without images; got {}; use a vision-language checkpoint.", use.path);
  const std::string place = fmt::format("{} {}", use.where, use.path);
  const MappedFile file(resolve_image(input.image_root, use.path, use.where));
  return preprocess_image(decode_image(file.bytes(), place, input.alpha), *input.image_processor, place);
}

/// [image tokens, D]: a batch of nothing but image tokens.
torch::Tensor features_of(const Lmm& model, const std::vector<ImagePatches>& pictures) {
  std::vector<const ImagePatches*> views;
  for (const ImagePatches& picture : pictures) views.push_back(&picture);
  const PackedImages packed = pack_images(views);
  return encode_images(*model.vision, *model.config.vision, packed.patches.to(model.device), packed.grid);
}

}  // namespace

EncodedPictures encode_pictures(const Lmm& model, const RerankInput& input, std::span<const PictureUse> uses) {
  const at::NoGradGuard no_gradient;
  EncodedPictures encoded;
  std::vector<const PictureUse*> distinct;
  for (const PictureUse& use : uses) {
    if (encoded.by_path.emplace(use.path, EncodedPicture{}).second) distinct.push_back(&use);
  }
  int64_t rows = 0;
  std::vector<torch::Tensor> features;
  for (std::size_t begin = 0; begin < distinct.size(); begin += kPicturesAtOnce) {
    const auto some = std::span(distinct).subspan(begin, std::min(kPicturesAtOnce, distinct.size() - begin));
    std::vector<ImagePatches> pictures(some.size());
    parallel_for(std::ssize(some), 1, [&](int64_t first, int64_t last) {
      for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i)
        pictures[i] = read_picture(input, *some[i]);
    });
    features.push_back(features_of(model, pictures));
    for (std::size_t i = 0; i < some.size(); ++i) {
      ImagePatches& shape = pictures[i];
      shape.values = {};
      const int64_t tokens = shape.grid_h * shape.grid_w / (input.pack.merge_size * input.pack.merge_size);
      encoded.by_path[some[i]->path] = {std::move(shape), tokens, rows};
      rows += tokens;
    }
  }
  if (!features.empty()) encoded.features = at::cat(features, 0);
  return encoded;
}

}  // namespace trireme
