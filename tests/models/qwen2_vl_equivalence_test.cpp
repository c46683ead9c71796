#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "models/trainable.h"
#include "models/weights/adapter.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::golden_cases;
using test::golden_checkpoint_path;
using test::golden_checkpoints;
using test::GoldenCase;
using test::largest_difference;
using test::load_golden_model;
using test::message_of;
using test::packed;
using ::testing::HasSubstr;

constexpr double kTolerance = 1e-6;
constexpr double kAdapterTolerance = 5e-6;  // behind an adapter whose output outgrows the base's

torch::Tensor one_by_one(const Lmm& model, const std::vector<GoldenCase>& cases) {
  std::vector<torch::Tensor> rows;
  for (const GoldenCase& one : cases) rows.push_back(embed(model, packed({one}, model.config)));
  return at::cat(rows);
}

TEST(Equivalence, PackedEqualsOneByOne) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint);
    const auto cases = golden_cases(checkpoint);
    EXPECT_LT(largest_difference(embed(model, packed(cases, model.config)), one_by_one(model, cases)), kTolerance)
        << checkpoint;
  }
}

TEST(Equivalence, OrderInTheBatchDoesNotMatter) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint);
    auto cases = golden_cases(checkpoint);
    const torch::Tensor forward = embed(model, packed(cases, model.config));
    std::reverse(cases.begin(), cases.end());
    EXPECT_LT(largest_difference(embed(model, packed(cases, model.config)).flip(0), forward), kTolerance) << checkpoint;
  }
}

TEST(Equivalence, RowsAskedForAreThoseOfAllRows) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint);
    PackedBatch batch = packed(golden_cases(checkpoint), model.config);
    const torch::Tensor asked = hidden_rows(model, batch);
    const torch::Tensor rows = std::exchange(batch.rows, at::arange(batch.tokens.size(0)));
    EXPECT_LT(largest_difference(asked, hidden_rows(model, batch).index_select(0, rows)), 1e-5) << checkpoint;
  }
}

TEST(Equivalence, ForwardWithGradientEqualsForwardWithout) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    Lmm model = load_golden_model(checkpoint);
    const PackedBatch batch = packed(golden_cases(checkpoint), model.config);
    torch::Tensor without;
    {
      const torch::NoGradGuard no_gradient;
      without = embed(model, batch);
    }
    set_trainable(model, {.parts = TrainableParts::kAll, .names = {}});
    const torch::Tensor with = embed(model, batch);
    EXPECT_TRUE(with.requires_grad());
    EXPECT_TRUE(at::equal(with.detach(), without)) << checkpoint;
  }
}

TEST(Equivalence, AnAdapterEqualsItsMergedWeights) {
  const auto folder = std::filesystem::path(TRIREME_TEST_DIR) / "golden/checkpoints/adapters/qwen2_vl_modern";
  Lmm adapted = load_golden_model("qwen2_vl_hub"), merged = load_golden_model("qwen2_vl_hub");
  const Adapter adapter = read_adapter(folder, adapted.config);
  attach_adapter(adapted, adapter);
  const torch::NoGradGuard no_gradient;
  for (Parameter& parameter : named_parameters(merged)) {
    constexpr std::string_view kWeight = ".weight";
    if (!parameter.name.ends_with(kWeight)) continue;
    const auto pair = adapter.modules.find(parameter.name.substr(0, parameter.name.size() - kWeight.size()));
    if (pair == adapter.modules.end()) continue;
    parameter.value.add_(pair->second.scale *
                         at::matmul(pair->second.b.to(torch::kFloat32), pair->second.a.to(torch::kFloat32)));
  }
  const PackedBatch batch = packed(golden_cases("qwen2_vl_hub"), adapted.config);
  EXPECT_LT(largest_difference(embed(adapted, batch), embed(merged, batch)), kAdapterTolerance);
}

/// Every batch that does not fit the model is refused with what is wrong.
TEST(Refusal, NamesWhatDoesNotFit) {
  const Lmm model = load_golden_model("qwen2_vl_hub");
  const auto cases = golden_cases("qwen2_vl_hub");
  const auto refused = [&](auto&& change) {
    PackedBatch batch = packed(cases, model.config);
    change(batch);
    return message_of<ShapeError>([&] { embed(model, batch); });
  };
  EXPECT_THAT(refused([](PackedBatch& b) { b.tokens[0] = 10'000; }), HasSubstr("10000"));
  EXPECT_THAT(refused([](PackedBatch& b) { b.position_ids = b.position_ids[0]; }), HasSubstr("position_ids"));
  EXPECT_THAT(refused([](PackedBatch& b) { b.patches = b.patches.narrow(0, 0, b.patches.size(0) - 4); }),
              HasSubstr("patches"));
  EXPECT_THAT(refused([](PackedBatch& b) { b.patches = b.patches.narrow(1, 0, 5).contiguous(); }), HasSubstr("5"));
  EXPECT_THAT(refused([](PackedBatch& b) { b.image_rows = b.image_rows.narrow(0, 1, b.image_rows.size(0) - 1); }),
              HasSubstr("image_rows"));
  EXPECT_THAT(refused([](PackedBatch& b) { b.rows = b.rows + 100'000; }), HasSubstr("rows"));

  const Lmm text_only = load_golden_model("qwen2_hub");
  PackedBatch batch = packed(golden_cases("qwen2_hub"), text_only.config);
  batch.patches = at::zeros({4, 1176});
  batch.grid = at::tensor({1, 2, 2}, torch::kInt64).unsqueeze(0);
  EXPECT_THAT(message_of<ShapeError>([&] { embed(text_only, batch); }), HasSubstr("text"));
}

}  // namespace
}  // namespace trireme
