#include <nlohmann/json.hpp>

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>

#include "core/io/file.h"
#include "core/json.h"
#include "models/lmm.h"
#include "models/weights/hub_checkpoint.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::EditableFolder;
using test::golden_checkpoint;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::ordered_json;
using Tensors = EditableFolder::Tensors;

constexpr const char *kEmbeddings = "model.embed_tokens.weight", *kHead = "lm_head.weight";

/// Makes of qwen2_vl_hub one of tests/golden/checkpoints/tied_head.json, as make.py there does.
void apply(const Json& one, const EditableFolder& folder) {
  folder.edit_json("config.json", [&](Json& config) {
    config.erase("tie_word_embeddings");
    if (one["root"] != "-") config["tie_word_embeddings"] = one["root"];
    if (one["text"].is_null()) return;
    Json text = config;
    for (const char* key : {"architectures", "model_type", "vision_config", "tie_word_embeddings"}) text.erase(key);
    if (one["text"] != "-") text["tie_word_embeddings"] = one["text"];
    config["text_config"] = text;
  });
  folder.edit_tensors("model.safetensors", [&](Tensors& t) {
    const torch::Tensor rows = t.at(kEmbeddings);
    const std::string files = one["files"];
    if (files == "equal") t[kHead] = rows.clone();
    if (files == "different") t[kHead] = 1.5 * rows;
    if (files == "one_value") t[kHead] = at::cat({rows.narrow(0, 0, 63), 1.0001 * rows.narrow(0, 63, 1)});
    if (files == "other_shape") t[kHead] = rows.narrow(0, 0, 62).clone();
    if (files == "head_alone") {
      t[kHead] = rows;
      t.erase(kEmbeddings);
    }
  });
}

Lmm load(const EditableFolder& folder) {
  HubCheckpoint checkpoint(folder.path());
  return load_model(checkpoint, {.head = true});
}

TEST(TiedHead, IsAsTransformersHasItWhateverConfigAndFilesSay) {
  const Json cases = parse_ordered_json(read_text_file(golden_checkpoint("tied_head.json")));
  ASSERT_GE(cases.size(), 72u);
  const torch::Tensor rows = load(EditableFolder(golden_checkpoint("qwen2_vl_hub"))).decoder.embed_tokens;
  for (const Json& one : cases) {
    SCOPED_TRACE(dump_json(one));
    const EditableFolder folder(golden_checkpoint("qwen2_vl_hub"));
    apply(one, folder);
    const std::string head = one["head"];
    if (head == "missing") {
      EXPECT_THROW(load(folder), DataError);
    } else if (head == "refused") {
      EXPECT_THROW(load(folder), ShapeError);
    } else {
      const Lmm model = load(folder);
      EXPECT_TRUE(at::equal(model.decoder.embed_tokens, rows));
      EXPECT_EQ(model.head.weight.is_same(model.decoder.embed_tokens), head == "tied");
      EXPECT_EQ(model.config.decoder.tie_word_embeddings, head == "tied");
      EXPECT_EQ(at::equal(model.head.weight, rows), one["files"] != "different" && one["files"] != "one_value");
    }
  }
}

TEST(TiedHead, OfAnotherDtypeIsComparedByValue) {
  const EditableFolder folder(golden_checkpoint("qwen2_vl_hub"));
  folder.edit_tensors("model.safetensors", [&](Tensors& t) {
    t[kEmbeddings] = t[kEmbeddings].to(torch::kBFloat16);
    t[kHead] = t[kEmbeddings].to(torch::kFloat32);
  });
  const HubCheckpoint equal(folder.path());
  EXPECT_TRUE(equal.config().decoder.tie_word_embeddings);
  EXPECT_FALSE(equal.untied_by_files());
  folder.edit_tensors("model.safetensors", [&](Tensors& t) { t[kHead] = 1.001 * t[kHead]; });
  const HubCheckpoint different(folder.path());
  EXPECT_FALSE(different.config().decoder.tie_word_embeddings);
  EXPECT_TRUE(different.untied_by_files());
}

// --- what is not used is named -----------------------------------------------------------------------------

TEST(UnusedTensors, AreNamedWithTheReason) {
  const EditableFolder folder(golden_checkpoint("qwen2_vl_hub"));
  folder.edit_tensors("model.safetensors", [](Tensors& t) {
    t["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::ones({8}, at::TensorOptions(torch::kFloat64));
    t["visual.rotary_pos_emb.inv_freq"] = at::ones({4});
    t[kHead] = t[kEmbeddings].clone();
  });
  HubCheckpoint checkpoint(folder.path());
  load_model(checkpoint, {});
  EXPECT_THAT(checkpoint.unused(),
              ElementsAre(HasSubstr("\"model.layers.0.self_attn.rotary_emb.inv_freq\" and 1 like it (made anew"),
                          HasSubstr("lm_head.weight (a copy of the embeddings")));
}

TEST(UnusedTensors, AreNoneOfAPlainCheckpointAndTheHeadWhereNobodyAsks) {
  HubCheckpoint plain(golden_checkpoint("qwen2_vl_hub")), untied(golden_checkpoint("qwen2_5_vl_hub"));
  load_model(plain, {});
  EXPECT_TRUE(plain.unused().empty());
  load_model(untied, {});
  EXPECT_THAT(untied.unused(), ElementsAre(HasSubstr("lm_head.weight (nothing here asks")));
  HubCheckpoint asked(golden_checkpoint("qwen2_5_vl_hub"));
  load_model(asked, {.head = true});
  EXPECT_TRUE(asked.unused().empty());
}

}  // namespace
}  // namespace trireme
