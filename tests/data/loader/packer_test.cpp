#include "data/loader/packer.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "core/json.h"

namespace trireme {
namespace {

constexpr int64_t kPatchWidth = 3;  // the packer takes whatever width the processor made

EncodedSequence sequence_of(const nlohmann::json& golden) {
  EncodedSequence out;
  out.tokens = golden["tokens"].get<std::vector<int64_t>>();
  for (const auto& grid : golden["grids"]) {
    ImagePatches image{grid[1].get<int64_t>(), grid[2].get<int64_t>(), {}};
    image.values.assign(static_cast<std::size_t>(image.grid_h * image.grid_w * kPatchWidth), 0.5f);
    out.images.push_back(std::move(image));
  }
  return out;
}

class PackTest : public ::testing::Test {
 protected:
  PackTest() {
    std::ifstream(TRIREME_TEST_DIR "/golden/loader/rope_index.json") >> golden_;
    options_.image_token_id = golden_["image_token_id"];
    for (const auto& one : golden_["cases"]) sequences_.push_back(sequence_of(one));
  }
  nlohmann::json golden_;
  PackOptions options_;
  std::vector<EncodedSequence> sequences_;
};

torch::Tensor positions_of(const nlohmann::json& golden) {
  std::vector<torch::Tensor> axes;
  for (const auto& axis : golden["positions"]) axes.push_back(at::tensor(axis.get<std::vector<int64_t>>()));
  return at::stack(axes);
}

TEST_F(PackTest, PositionsEqualTransformersGetRopeIndex) {
  const PackedBatch batch = pack(sequences_, options_);
  int64_t begin = 0;
  for (const auto& one : golden_["cases"]) {
    const auto expected = positions_of(one);
    EXPECT_TRUE(at::equal(batch.position_ids.narrow(1, begin, expected.size(1)), expected)) << dump_json(one);
    begin += expected.size(1);
  }
  EXPECT_EQ(begin, batch.tokens.size(0));
}

TEST_F(PackTest, OnedCountsUpOnAllAxes) {
  options_.rope_mode = RopeMode::kOned;
  const PackedBatch batch = pack(std::span(sequences_).first(1), options_);
  const auto count = at::arange(batch.tokens.size(0));
  for (int64_t axis = 0; axis < 3; ++axis) EXPECT_TRUE(at::equal(batch.position_ids[axis], count));
}

TEST_F(PackTest, PackedTogetherIsTheConcatenationOfOneByOne) {
  const PackedBatch all = pack(sequences_, options_);
  std::vector<torch::Tensor> tokens, positions, grids, patches, rows, image_rows;
  int64_t begin = 0;
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    const PackedBatch one = pack(std::span(sequences_).subspan(i, 1), options_);
    tokens.push_back(one.tokens), positions.push_back(one.position_ids), grids.push_back(one.grid);
    if (one.patches.size(0) > 0) patches.push_back(one.patches);
    rows.push_back(one.rows + begin), image_rows.push_back(one.image_rows + begin);
    begin += one.tokens.size(0);
    EXPECT_EQ(all.cu_seqlens[static_cast<int64_t>(i) + 1].item<int64_t>(), begin);
  }
  EXPECT_TRUE(at::equal(all.tokens, at::cat(tokens)));
  EXPECT_TRUE(at::equal(all.position_ids, at::cat(positions, 1)));
  EXPECT_TRUE(at::equal(all.grid, at::cat(grids)));
  EXPECT_TRUE(at::equal(all.patches, at::cat(patches)));
  EXPECT_TRUE(at::equal(all.rows, at::cat(rows)));
  EXPECT_TRUE(at::equal(all.image_rows, at::cat(image_rows)));
}

TEST_F(PackTest, ImageRowsAreTheImageTokens) {
  const PackedBatch batch = pack(sequences_, options_);
  EXPECT_TRUE(at::equal(batch.image_rows, at::nonzero(batch.tokens == options_.image_token_id).flatten()));
  EXPECT_EQ(batch.image_rows.size(0) * 4, batch.patches.size(0));
}

}  // namespace
}  // namespace trireme
