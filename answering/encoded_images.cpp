#include "answering/encoded_images.h"

#include <algorithm>

#include <ATen/ops/cat.h>

#include "core/parallel.h"
#include "data/loader/image_reader.h"

namespace trireme {
namespace {

/// Decoded and encoded together: bounds the patches in memory.
constexpr std::size_t kImagesAtOnce = 32;

/// [image tokens, D]: a batch of nothing but image tokens.
torch::Tensor features_of(const Lmm& model, const std::vector<ImagePatches>& images) {
  std::vector<const ImagePatches*> views;
  for (const ImagePatches& image : images) views.push_back(&image);
  const PackedImages packed = pack_images(views);
  return encode_images(*model.vision, *model.config.vision, packed.patches.to(model.device), packed.grid);
}

}  // namespace

EncodedImages read_and_encode(const Lmm& model, const ImageInput& input, std::span<const ImageUse> uses) {
  const at::NoGradGuard no_gradient;
  const ImageReader reader(input.image_root, input.image_processor, input.alpha);
  EncodedImages encoded;
  std::vector<const ImageUse*> distinct;
  for (const ImageUse& use : uses) {
    if (encoded.by_path.emplace(use.path, EncodedImage{}).second) distinct.push_back(&use);
  }
  int64_t rows = 0;
  std::vector<torch::Tensor> features;
  for (std::size_t begin = 0; begin < distinct.size(); begin += kImagesAtOnce) {
    const auto some = std::span(distinct).subspan(begin, std::min(kImagesAtOnce, distinct.size() - begin));
    std::vector<ImagePatches> images(some.size());
    parallel_for(std::ssize(some), 1, [&](int64_t first, int64_t last) {
      for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i)
        images[i] = reader.read(some[i]->path, some[i]->where);
    });
    features.push_back(features_of(model, images));
    for (std::size_t i = 0; i < some.size(); ++i) {
      ImagePatches& shape = images[i];
      shape.values = {};
      const int64_t tokens = reader.tokens_of(shape);
      encoded.by_path[some[i]->path] = {std::move(shape), tokens, rows};
      rows += tokens;
    }
  }
  if (!features.empty()) encoded.features = at::cat(features, 0);
  return encoded;
}

}  // namespace trireme
