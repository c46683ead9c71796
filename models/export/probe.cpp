#include "models/export/probe.h"

#include <string>
#include <vector>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "core/rng.h"

namespace trireme {
namespace {

constexpr int64_t kGridHigh = 4, kGridWide = 6;  // patches

class ProbeBuilder {
 public:
  explicit ProbeBuilder(const ModelConfig& config) : config_(config), random_(random_stream(0, "export.probe")) {}

  void add_text(int64_t tokens) {
    for (int64_t i = 0; i < tokens; ++i, ++position_) add_token(random_text_token(), position_, position_, position_);
  }
  void add_image() {
    const VisionConfig& v = *config_.vision;
    const int64_t high = kGridHigh / v.merge_size, wide = kGridWide / v.merge_size;
    for (int64_t y = 0; y < high; ++y) {
      for (int64_t x = 0; x < wide; ++x) {
        image_rows_.push_back(static_cast<int64_t>(tokens_.size()));
        add_token(config_.image_token_id, position_, position_ + y, position_ + x);
      }
    }
    position_ += std::max(high, wide);
    ++images_;
  }
  void end_sequence() {
    bounds_.push_back(static_cast<int64_t>(tokens_.size()));
    rows_.push_back(bounds_.back() - 1);
    position_ = 0;
  }

  PackedBatch build() {
    const at::TensorOptions integers(torch::kInt64);
    std::vector<int64_t> positions;
    for (const auto& axis : axes_) positions.insert(positions.end(), axis.begin(), axis.end());
    PackedBatch batch;
    batch.tokens = at::tensor(tokens_, integers);
    batch.position_ids = at::tensor(positions, integers).view({3, -1});
    batch.cu_seqlens = at::tensor(bounds_, integers);
    batch.rows = at::tensor(rows_, integers);
    if (images_ == 0) return batch;
    const VisionConfig& v = *config_.vision;
    batch.patches = at::empty(
        {images_ * kGridHigh * kGridWide, v.in_channels * v.temporal_patch_size * v.patch_size * v.patch_size},
        at::TensorOptions(torch::kFloat32));
    float* values = batch.patches.mutable_data_ptr<float>();
    for (int64_t i = 0; i < batch.patches.numel(); ++i) values[i] = static_cast<float>(random_.normal());
    std::vector<int64_t> grid;
    for (int64_t i = 0; i < images_; ++i) grid.insert(grid.end(), {1, kGridHigh, kGridWide});
    batch.grid = at::tensor(grid, integers).view({-1, 3});
    batch.image_rows = at::tensor(image_rows_, integers);
    return batch;
  }

 private:
  bool is_special(int64_t token) const {
    return token == config_.image_token_id || token == config_.video_token_id ||
           token == config_.vision_start_token_id || token == config_.vision_end_token_id;
  }
  int64_t random_text_token() {
    int64_t token = 0;
    do token = static_cast<int64_t>(random_.uniform_below(config_.decoder.vocab_size));
    while (is_special(token));
    return token;
  }
  void add_token(int64_t token, int64_t time, int64_t height, int64_t width) {
    tokens_.push_back(token);
    axes_[0].push_back(time);
    axes_[1].push_back(height);
    axes_[2].push_back(width);
  }

  const ModelConfig& config_;
  RandomStream random_;
  std::vector<int64_t> tokens_, axes_[3], bounds_ = {0}, rows_, image_rows_;
  int64_t position_ = 0, images_ = 0;
};

void add_text_sequences(ProbeBuilder& builder) {
  for (const int64_t tokens : {1, 5, 40}) {
    builder.add_text(tokens);
    builder.end_sequence();
  }
}

}  // namespace

PackedBatch probe_batch(const ModelConfig& config) {
  ProbeBuilder builder(config);
  add_text_sequences(builder);
  if (config.vision) {
    builder.add_text(3);
    builder.add_image();
    builder.add_text(9);
    builder.end_sequence();
  }
  return builder.build();
}

PackedBatch text_probe_batch(const ModelConfig& config) {
  ProbeBuilder builder(config);
  add_text_sequences(builder);
  return builder.build();
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) { return (a - b).abs().max().item<double>(); }

void require_same_outputs(const torch::Tensor& written, const torch::Tensor& expected, double tolerance,
                          std::string_view what) {
  const double difference = largest_difference(written, expected);
  TRIREME_CHECK(difference <= tolerance, DataError, what,  // false for NaN too
                "what is written must give what the model gives to {:g}; got a difference of {:g}; nothing was kept; "
                "check the disk, and export in float32 if the weights do not suit the dtype.",
                tolerance, difference);
}

}  // namespace trireme
