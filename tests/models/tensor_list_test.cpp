#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/io/hash.h"
#include "core/shape.h"
#include "models/config_tensors.h"
#include "models/lora.h"
#include "models/random_init.h"
#include "models/trainable.h"
#include "models/weights/tensor_names.h"
#include "tests/models/golden_cases.h"

namespace trireme {
namespace {

using test::load_golden_model;

std::string digest(const std::string& text) { return sha256_hex(std::as_bytes(std::span(text))).substr(0, 16); }

std::string bytes_of(const torch::Tensor& value) {
  const torch::Tensor dense = value.contiguous();
  return {static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()};
}

/// Order, names, shapes and first values are part of what a run is reproduced from (checkpoints, the optimiser's state,
/// trainable.json): they stay. Digests of the texts, taken when the families had a list for each purpose.
struct Lists {
  const char* checkpoint;
  std::string statuses, leaves, shapes, linears, values;
};

void PrintTo(const Lists& lists, std::ostream* out) { *out << lists.checkpoint; }

class TensorLists : public testing::TestWithParam<Lists> {};

TEST_P(TensorLists, StayAsRunsWereMadeWithThem) {
  const ModelConfig config = load_golden_model(GetParam().checkpoint).config;
  Lmm model = random_model(config, {.seed = 11, .linear_std = {}}, {.head = true});
  std::string values;
  for (const Parameter& parameter : named_parameters(model)) values += parameter.name + bytes_of(parameter.value);

  LoraConfig lora;
  lora.rank = 2;
  lora.target_modules = {".*"};
  if (config.decoder.tie_word_embeddings) lora.exclude_modules = {"lm_head"};
  attach_lora(model, lora, 3);
  if (model.vision) {
    Linear& convolution = model.vision->patch_embed;
    convolution.lora.push_back({at::zeros({2, convolution.weight.size(1)}), at::zeros({convolution.weight.size(0), 2}),
                                1, 0, "visual.patch_embed.proj", 0});
  }
  set_trainable(model, {.parts = TrainableParts::kAll, .names = {}});
  std::string statuses, leaves, shapes, linears;
  for (const TensorStatus& status : tensor_statuses(model))
    statuses += fmt::format("{} {} {} {}\n", status.name, shape_string(status.shape), status.dtype, status.lora_target);
  for (const TrainableTensor& leaf : trainable_tensors(model))
    leaves += fmt::format("{} {}\n", leaf.name, shape_string(leaf.tensor));
  for (const auto& [name, shape] : tensor_shapes(config)) shapes += fmt::format("{} {}\n", name, shape_string(shape));
  for (const auto& [path, layer] : lora_modules(config)) {
    const StoredShapes stored = stored_shapes(layer, 3);
    linears += fmt::format("{} {} {} {} {} {} {}\n", path, linear_modules(config).contains(path), layer.in_features,
                           layer.rows, shape_string(stored.weight), shape_string(stored.a), shape_string(stored.b));
  }
  EXPECT_EQ(digest(statuses), GetParam().statuses) << statuses;
  EXPECT_EQ(digest(leaves), GetParam().leaves) << leaves;
  EXPECT_EQ(digest(shapes), GetParam().shapes) << shapes;
  EXPECT_EQ(digest(linears), GetParam().linears) << linears;
  EXPECT_EQ(digest(values), GetParam().values);
}

TEST_P(TensorLists, NamePartsAsFilesWithoutAConfigurationDo) {
  Lmm model = empty_lmm(load_golden_model(GetParam().checkpoint).config);
  for (const TensorSlot& slot : ModelTensors(model).slots) EXPECT_EQ(slot.part, part_of(slot.name)) << slot.name;
}

/// A model of no family that we read: two towers that share nothing.
struct TwoTowers {
  c10::ScalarType dtype = torch::kFloat64;
  c10::Device device = torch::kCPU;
  torch::Tensor table, norm;
  Linear pair, out;
};

void visit_tensors(TwoTowers& model, const TensorVisitor& visitor) {
  const PartVisit text{visitor, ModelPart::kDecoder, 4}, image{visitor, ModelPart::kVisionTower, 6};
  text.embedding("text.table", model.table, 5);
  text.linear(model.pair, 4, Bias::kPresent, {{"text.query", 3}, {"text.key", 2}});
  image.norm("image.norm", model.norm);
  image.linear(model.out, 6, Bias::kNone, {{"image.out", 2}});
}

std::vector<std::string> names_of(const std::vector<Parameter>& parameters) {
  std::vector<std::string> names;
  for (const Parameter& parameter : parameters) names.push_back(parameter.name);
  return names;
}

TEST(ModelTensors, OfAnyStructWithAVisitAreDrawnAdaptedAndTrained) {
  TwoTowers model;
  EXPECT_THAT(named_parameters(model), testing::IsEmpty()) << "nothing is defined yet";
  load_tensors(model, random_weights({.seed = 1, .linear_std = {}}));
  const auto parameters = named_parameters(model);
  EXPECT_THAT(names_of(parameters),
              testing::ElementsAre("text.table.weight", "text.query.weight", "text.query.bias", "text.key.weight",
                                   "text.key.bias", "image.norm.weight", "image.out.weight"));
  EXPECT_EQ(model.pair.weight.sizes(), at::IntArrayRef({5, 4}));
  EXPECT_EQ(model.pair.weight.scalar_type(), torch::kFloat64);
  EXPECT_TRUE(at::equal(parameters[3].value, model.pair.weight.narrow(0, 3, 2)));
  EXPECT_TRUE(at::equal(model.norm, at::ones({6}, torch::kFloat64)));

  LoraConfig lora;
  lora.rank = 2;
  lora.target_modules = {"key", "out"};
  EXPECT_EQ(attach_lora(model, lora, 7).parameters, 2 * (4 + 2) + 2 * (6 + 2));
  set_trainable(model, {.parts = TrainableParts::kNamed, .names = {"key\\.lora_.\\.weight"}});
  EXPECT_FALSE(vision_trains(model));
  EXPECT_EQ(trainable_tensors(model).size(), 2u);
  set_trainable(model, {});
  EXPECT_TRUE(vision_trains(model));
  EXPECT_EQ(trainable_tensors(model).back().name, "image.out.lora_B.weight");
}

INSTANTIATE_TEST_SUITE_P(Families, TensorLists,
                         testing::Values(Lists{"qwen2_hub", "479265108d38ab85", "9b56db5a26b50e5a", "48c0b1d6a5962f2e",
                                               "ca945e6055fa05f0", "1619c040fcbaaec9"},
                                         Lists{"qwen2_base", "1f27385bebb3d3b9", "5048808c33d3b2ec", "5dc0e4a69ab38075",
                                               "c34c1e6744ceea43", "8f799d8fe27a4e73"},
                                         Lists{"qwen2_vl_hub", "05b2078f263fe9f2", "3ce78b1a67a7c5b6",
                                               "49c43424aef6bf23", "1bdcd48362bf00d4", "2926cb10240cd703"},
                                         Lists{"qwen2_5_vl_hub", "fe75504014b19052", "5cfdb4ec9010916d",
                                               "7b0eb93cf06d181b", "5da4f55f7f99e137", "7ee112083f62dc17"}));

}  // namespace
}  // namespace trireme
