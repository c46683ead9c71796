#include <gtest/gtest.h>

#include <ATen/ops/arange.h>

#include "core/io/safetensors.h"
#include "models/weights/adapter.h"
#include "tests/models/golden_cases.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::expected_embeddings;
using test::golden_cases;
using test::golden_checkpoints;
using test::largest_difference;
using test::load_golden_model;
using test::packed;

constexpr double kTolerance = 2e-6;         // of normalised embeddings, float32
constexpr double kAdapterTolerance = 5e-6;  // the same behind an adapter whose output outgrows the base's
constexpr double kHiddenTolerance = 2e-5;   // of hidden states and vision features, which are of order 1
constexpr double kBfloat16Cosine = 0.999;

TEST(Golden, ThereAreCheckpointsOfEveryFamily) { EXPECT_EQ(golden_checkpoints().size(), 6u); }

TEST(Golden, EmbeddingsEqualTransformersInBothRopeModes) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint);
    const auto cases = golden_cases(checkpoint);
    EXPECT_LT(largest_difference(embed(model, packed(cases, model.config)), expected_embeddings(cases)), kTolerance)
        << checkpoint;
    if (!model.config.vision) continue;  // text has one axis anyway
    EXPECT_LT(largest_difference(embed(model, packed(cases, model.config, true)), expected_embeddings(cases, true)),
              kTolerance)
        << checkpoint << ", 1-D positions";
  }
}

TEST(Golden, HiddenStatesOfEveryTokenEqualTransformers) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint);
    for (const auto& one : golden_cases(checkpoint)) {
      PackedBatch batch = packed({one}, model.config);
      batch.rows = at::arange(one.tokens.size(0));
      EXPECT_LT(largest_difference(hidden_rows(model, batch), one.hidden), kHiddenTolerance)
          << checkpoint << " " << one.name;
      if (!one.patches.defined()) continue;
      EXPECT_LT(largest_difference(image_features(model, batch), one.vision), kHiddenTolerance)
          << checkpoint << " " << one.name;
    }
  }
}

TEST(Golden, Bfloat16StaysCloseToFloat32) {
  for (const std::string& checkpoint : golden_checkpoints()) {
    const Lmm model = load_golden_model(checkpoint, torch::kBFloat16);
    const auto cases = golden_cases(checkpoint);
    const torch::Tensor rows = embed(model, packed(cases, model.config));
    EXPECT_EQ(rows.scalar_type(), torch::kFloat32);
    EXPECT_GT((rows * expected_embeddings(cases)).sum(1).min().item<double>(), kBfloat16Cosine) << checkpoint;
  }
}

/// Adapter folder, and the checkpoint it was made for.
class GoldenAdapter : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(GoldenAdapter, EqualsPeft) {
  const auto [name, checkpoint] = GetParam();
  const auto folder = std::filesystem::path(TRIREME_TEST_DIR) / "golden/checkpoints/adapters";
  Lmm model = load_golden_model(checkpoint);
  const SafetensorsFile expected(folder / (std::string(name) + ".expected.safetensors"));
  ASSERT_FALSE(expected.entries().empty());
  const auto plain = [&](const test::GoldenCase& one) { return embed(model, packed({one}, model.config)); };
  std::map<std::string, torch::Tensor> without;
  for (const auto& one : golden_cases(checkpoint)) without[one.name] = plain(one);

  EXPECT_GT(attach_adapter(model, read_adapter(folder / name, model.config)), 0);
  int64_t compared = 0;
  for (const auto& one : golden_cases(checkpoint)) {
    const SafetensorsEntry* entry = expected.find(one.name);
    if (entry == nullptr) continue;
    const torch::Tensor row = plain(one)[0];
    EXPECT_LT(largest_difference(row, expected.tensor(*entry)), kAdapterTolerance) << name << " " << one.name;
    EXPECT_GT(largest_difference(row, without[one.name][0]), 1e-3) << "the adapter does something";
    ++compared;
  }
  EXPECT_EQ(compared, static_cast<int64_t>(expected.entries().size()));
}

INSTANTIATE_TEST_SUITE_P(AllNamings, GoldenAdapter,
                         ::testing::Values(std::pair{"qwen2_vl_legacy", "qwen2_vl_hub"},
                                           std::pair{"qwen2_vl_modern", "qwen2_vl_hub"},
                                           std::pair{"qwen2_vl_base_model", "qwen2_vl_hub"},
                                           std::pair{"qwen2_vl_proj", "qwen2_vl_hub"},
                                           std::pair{"qwen2_rslora", "qwen2_hub"}),
                         [](const auto& instance) { return std::string(instance.param.first); });

TEST(GoldenHeadAdapter, GivesPeftsScoresOnATiedHead) {
  const auto folder = std::filesystem::path(TRIREME_TEST_DIR) / "golden/checkpoints/adapters";
  Lmm model = load_golden_model("qwen2_vl_hub");
  attach_adapter(model, read_adapter(folder / "qwen2_vl_proj", model.config));
  const SafetensorsFile expected(folder / "qwen2_vl_proj.logits.safetensors");
  int64_t compared = 0;
  for (const auto& one : golden_cases("qwen2_vl_hub")) {
    const torch::Tensor scores = logits_rows(model, packed({one}, model.config))[0];
    const torch::Tensor wanted = expected.tensor(*expected.find(one.name));
    EXPECT_LT(largest_difference(scores, wanted), kAdapterTolerance * wanted.abs().max().item<double>()) << one.name;
    ++compared;
  }
  EXPECT_EQ(compared, static_cast<int64_t>(expected.entries().size()));
}

void attach_with_copy(const std::string& name, const torch::Tensor& copy) {
  Lmm model = load_golden_model("qwen2_vl_hub");
  const auto folder = std::filesystem::path(TRIREME_TEST_DIR) / "golden/checkpoints/adapters/qwen2_vl_proj";
  Adapter adapter = read_adapter(folder, model.config);
  adapter.base_copies = {{name, copy}};
  attach_adapter(model, adapter);
}

TEST(AttachAdapter, TakesACopyOfTheBaseAndRefusesAnother) {
  const Lmm model = load_golden_model("qwen2_vl_hub");
  const torch::Tensor own = model.decoder.embed_tokens;
  for (const char* name : {"lm_head.weight", "model.embed_tokens.weight"}) {
    for (const auto dtype : {torch::kFloat32, torch::kBFloat16, torch::kHalf}) {
      EXPECT_NO_THROW(attach_with_copy(name, own.to(dtype))) << name << " " << dtype;
    }
    torch::Tensor trained = own.clone();
    trained[63][31] *= 1 + 1e-6;
    EXPECT_THAT(test::message_of<DataError>([&] { attach_with_copy(name, trained); }),
                testing::HasSubstr(std::string("the base's ") + name))
        << "one value of 2,048";
    EXPECT_THAT(test::message_of<DataError>([&] { attach_with_copy(name, (1.1 * own).to(torch::kBFloat16)); }),
                testing::HasSubstr("other values"));
  }
}

}  // namespace
}  // namespace trireme
