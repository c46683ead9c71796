#include <ATen/ops/empty.h>

#include "core/error.h"
#include "core/shape.h"
#include "models/lmm.h"

namespace trireme {
namespace {

bool is_int64(const torch::Tensor& x, int64_t dim) {
  return x.defined() && x.scalar_type() == torch::kInt64 && x.dim() == dim;
}

void check_tokens(const ModelConfig& config, const PackedBatch& batch) {
  TRIREME_CHECK(is_int64(batch.tokens, 1) && batch.tokens.size(0) > 0, ShapeError, "batch",
                "tokens [T] int64 with T > 0 required; got {}; pack at least one sequence.",
                shape_string(batch.tokens));
  const int64_t count = batch.tokens.size(0);
  TRIREME_CHECK(
      is_int64(batch.position_ids, 2) && batch.position_ids.size(0) == 3 && batch.position_ids.size(1) == count,
      ShapeError, "batch",
      "position_ids [3, {}] int64 required, one column per token; got {}; pack them with "
      "the tokens.",
      count, shape_string(batch.position_ids));
  TRIREME_CHECK(is_int64(batch.cu_seqlens, 1) && batch.cu_seqlens.is_cpu() && batch.cu_seqlens.size(0) >= 2, ShapeError,
                "batch", "cu_seqlens [B+1] int64 on the CPU required; got {} on {}; pass cumulative lengths.",
                shape_string(batch.cu_seqlens),
                batch.cu_seqlens.defined() ? batch.cu_seqlens.device().str() : "no device");
  const auto bounds = batch.cu_seqlens.accessor<int64_t, 1>();
  TRIREME_CHECK(bounds[0] == 0 && bounds[bounds.size(0) - 1] == count, ShapeError, "batch",
                "cu_seqlens must run from 0 to the {} tokens; got {} to {}; pass cumulative lengths.", count, bounds[0],
                bounds[bounds.size(0) - 1]);
  TRIREME_CHECK(is_int64(batch.rows, 1), ShapeError, "batch", "rows [N] int64 required; got {}; name the rows to read.",
                shape_string(batch.rows));
  if (!batch.tokens.is_cpu()) return;
  const auto tokens = batch.tokens.accessor<int64_t, 1>();
  for (int64_t i = 0; i < count; ++i) {
    TRIREME_CHECK(tokens[i] >= 0 && tokens[i] < config.decoder.vocab_size, ShapeError, "batch",
                  "token ids must lie in the vocabulary of {}; got {} at {}; use the checkpoint's own tokenizer.",
                  config.decoder.vocab_size, tokens[i], i);
  }
  const auto rows = batch.rows.accessor<int64_t, 1>();
  for (int64_t i = 0; i < rows.size(0); ++i) {
    TRIREME_CHECK(rows[i] >= 0 && rows[i] < count, ShapeError, "batch",
                  "rows must lie within the {} tokens; got {} at {}; ask for rows of this batch.", count, rows[i], i);
  }
}

/// Patches that the grids announce; each grid is checked on the way.
int64_t patches_of_grids(const VisionConfig& vision, const torch::Tensor& grid) {
  const auto sizes = grid.accessor<int64_t, 2>();
  int64_t patches = 0;
  for (int64_t i = 0; i < sizes.size(0); ++i) {
    const int64_t frames = sizes[i][0], high = sizes[i][1], wide = sizes[i][2];
    TRIREME_CHECK(
        frames > 0 && high > 0 && wide > 0 && high % vision.merge_size == 0 && wide % vision.merge_size == 0,
        ShapeError, "batch",
        "an image's grid must be positive with height and width in multiples of {}; got {} x {} x {} for image "
        "{}; preprocess with the checkpoint's own merge_size.",
        vision.merge_size, frames, high, wide, i);
    patches += frames * high * wide;
  }
  return patches;
}

void check_image_rows(const ModelConfig& config, const PackedBatch& batch) {
  const auto tokens = batch.tokens.accessor<int64_t, 1>();
  const auto image_rows = batch.image_rows.accessor<int64_t, 1>();
  int64_t seen = 0;
  for (int64_t i = 0; i < tokens.size(0); ++i) {
    if (tokens[i] != config.image_token_id) continue;
    TRIREME_CHECK(
        seen < image_rows.size(0) && image_rows[seen] == i, ShapeError, "batch",
        "image_rows must list the rows of image token {} in order; got none for row {}; pack image_rows with the "
        "tokens.",
        config.image_token_id, i);
    ++seen;
  }
  TRIREME_CHECK(seen == image_rows.size(0), ShapeError, "batch",
                "as many image tokens as image_rows required; got {} tokens of id {} and {} rows; use the checkpoint's "
                "image_token_id.",
                seen, config.image_token_id, image_rows.size(0));
}

void check_images(const ModelConfig& config, const PackedBatch& batch) {
  const int64_t patches = batch.patches.defined() ? batch.patches.size(0) : 0;
  TRIREME_CHECK(config.vision || patches == 0, ShapeError, "batch",
                "a {} checkpoint reads text alone; got {} image patches; use a Qwen2-VL checkpoint.",
                family_name(config.family), patches);
  if (!config.vision) return;
  const int64_t image_tokens = batch.image_rows.defined() ? batch.image_rows.numel() : 0;
  if (patches > 0) {
    const VisionConfig& v = *config.vision;
    const int64_t width = v.in_channels * v.temporal_patch_size * v.patch_size * v.patch_size;
    TRIREME_CHECK(
        batch.patches.dim() == 2 && batch.patches.size(1) == width && batch.patches.scalar_type() == torch::kFloat32,
        ShapeError, "batch",
        "patches [P, {}] float32 required; got {}; preprocess with the checkpoint's own "
        "patch_size.",
        width, shape_string(batch.patches));
    TRIREME_CHECK(is_int64(batch.grid, 2) && batch.grid.size(1) == 3 && batch.grid.is_cpu(), ShapeError, "batch",
                  "grid [I, 3] int64 on the CPU required; got {}; pack one row per image.", shape_string(batch.grid));
    const int64_t announced = patches_of_grids(v, batch.grid);
    TRIREME_CHECK(announced == patches, ShapeError, "batch",
                  "the grids must add up to the patches; got {} and {}; pack grid and patches together.", announced,
                  patches);
    const int64_t features = patches / (v.merge_size * v.merge_size);
    TRIREME_CHECK(is_int64(batch.image_rows, 1) && image_tokens == features, ShapeError, "batch",
                  "one image token per merged patch group required; got {} image_rows and {} groups; expand each image "
                  "placeholder to its grid.",
                  image_tokens, features);
  } else {
    TRIREME_CHECK(image_tokens == 0, ShapeError, "batch",
                  "image tokens need patches; got {} image_rows and no patch; pack the images.", image_tokens);
  }
  if (!batch.tokens.is_cpu()) return;
  if (batch.image_rows.defined()) {
    check_image_rows(config, batch);
  } else {
    PackedBatch without_images = batch;
    without_images.image_rows = at::empty({0}, torch::kInt64);
    check_image_rows(config, without_images);
  }
}

}  // namespace

void check_batch_with_features(const ModelConfig& config, const PackedBatch& batch, const torch::Tensor& features) {
  check_tokens(config, batch);
  const int64_t count = batch.image_rows.defined() ? batch.image_rows.numel() : 0;
  TRIREME_CHECK(features.defined() && features.dim() == 2 && features.size(0) == count &&
                    features.size(1) == config.decoder.hidden_size,
                ShapeError, "batch",
                "features [{}, {}] required, one row per image token; got {}; keep image_features().", count,
                config.decoder.hidden_size, shape_string(features));
  if (batch.tokens.is_cpu()) check_image_rows(config, batch);
}

void check_batch(const ModelConfig& config, const PackedBatch& batch) {
  check_tokens(config, batch);
  check_images(config, batch);
}

}  // namespace trireme
