#include "models/weights/adapter.h"

#include <algorithm>
#include <unordered_map>

#include <ATen/ops/allclose.h>
#include <ATen/ops/equal.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "models/config_tensors.h"
#include "models/weights/adapter_files.h"

namespace trireme {
namespace {

void require_fit(const AdapterFiles& files, const std::string& path, const LoraEntries& pair,
                 const LinearModule& layer) {
  const auto& a = pair.a->shape;
  const auto& b = pair.b->shape;
  const std::string& base = files.peft.base_model_name;
  const StoredShapes fitting = stored_shapes(layer, a[0]);
  TRIREME_CHECK(
      a == fitting.a && b == fitting.b, ShapeError, files.tensor_file.string(),
      "LoRA on {} must fit its weight {}: with rank {} A {} and B {}; got A {} and B {}; the adapter was made "
      "for another base{}.",
      path, shape_string(fitting.weight), a[0], shape_string(fitting.a), shape_string(fitting.b), shape_string(a),
      shape_string(b), base.empty() ? "" : " (" + quote_text(base) + ")");
}

/// Of the base, or the adapter belongs to a vocabulary of another size.
torch::Tensor base_copy(const AdapterFiles& files, const std::string& name, const SafetensorsEntry& entry,
                        const DecoderConfig& decoder) {
  const std::vector<int64_t> expected{decoder.vocab_size, decoder.hidden_size};
  TRIREME_CHECK(
      entry.shape == expected, ShapeError, files.tensor_file.string(),
      "the copy of the base's {} must have its shape {}; got {}; the adapter was trained with a vocabulary of "
      "another size: merge it into its base in PEFT.",
      name, shape_string(expected), shape_string(entry.shape));
  return files.tensors.tensor(entry);
}

/// A target that the model has, but the adapter holds no tensor for: the files are not of one adapter, or not complete.
void require_targets_present(const AdapterFiles& files, const std::map<std::string, LinearModule>& linears,
                             bool text_only) {
  const auto* targets = files.peft.targets ? std::get_if<std::vector<std::string>>(&*files.peft.targets) : nullptr;
  if (targets == nullptr) return;
  // PEFT adapts what the class has, and the class of this naming has no head.
  const bool headless = files.naming == TensorNaming::kBaseModel;
  for (const std::string& target : *targets) {
    const bool in_file = std::any_of(files.pairs.begin(), files.pairs.end(),
                                     [&](const auto& pair) { return names_module(target, pair.first); });
    if (in_file) continue;
    for (const auto& [canonical, module] : linears) {
      if (headless && canonical == "lm_head") continue;
      const std::string path = spelled(canonical, files.naming, text_only);
      TRIREME_CHECK(!names_module(target, path) || !files.peft.selects(path, canonical == "lm_head"), DataError,
                    files.tensor_file.string(),
                    "every module in target_modules must have tensors in the file; got none for {} ({}); the two files "
                    "must be of one complete adapter.",
                    quote_text(target), path);
    }
  }
}

void attach_pair(const LinearModule& module, const LoraPair& pair, double dropout, c10::ScalarType dtype,
                 c10::Device device) {
  TRIREME_CHECK(pair.a.dim() == 2 && pair.b.dim() == 2 && pair.a.size(1) == module.in_features &&
                    pair.b.size(0) == module.rows && pair.a.size(0) == pair.b.size(1),
                ShapeError, "adapter",
                "{} takes A [r, {}] and B [{}, r]; got {} and {}; use an adapter trained on this base model.",
                module.path, module.in_features, module.rows, shape_string(pair.a), shape_string(pair.b));
  const auto copy = [&](const torch::Tensor& x) { return x.to(device, dtype, false, /*copy=*/true); };
  module.layer->lora.push_back({copy(pair.a), copy(pair.b), pair.scale, module.row_begin, module.path, dropout});
}

/// Of values that went through a type and back: one rounding's relative size; 0 for the types that keep float32's.
double rounding_of(c10::ScalarType dtype) {
  return dtype == torch::kBFloat16 ? 0x1p-8 : dtype == torch::kHalf ? 0x1p-11 : 0;
}

/// cost  one pass over both, a block of rows at a time.
bool same_up_to_rounding(const torch::Tensor& a, const torch::Tensor& b) {
  constexpr int64_t kBlockRows = 4096;
  constexpr double kLeastHalf = 0x1p-24;  // float16's smallest step
  const double relative = rounding_of(a.scalar_type()) + rounding_of(b.scalar_type());
  for (int64_t begin = 0; begin < a.size(0); begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, a.size(0) - begin);
    const auto block = [&](const torch::Tensor& x) {
      return x.narrow(0, begin, rows).to(torch::kCPU, torch::kFloat32);
    };
    const torch::Tensor x = block(a), y = block(b);
    if (!(relative == 0 ? at::equal(x, y) : at::allclose(x, y, relative, kLeastHalf))) return false;
  }
  return true;
}

/// PEFT would put the copies in the base's place: they may be there, but not say anything else than the base.
void require_same_base(const ModelTensors& model, const Adapter& adapter) {
  for (const TensorSlot& slot : model.slots) {
    const auto copy = adapter.base_copies.find(slot.name);
    if (copy == adapter.base_copies.end()) continue;
    const torch::Tensor& own = *slot.tensor;
    if (!own.defined() || own.is_meta()) continue;  // an untied head that nothing asks for; a model without values
    TRIREME_CHECK(same_up_to_rounding(copy->second, own), DataError, adapter.path.string(),
                  "the adapter's copy of the base's {} must equal the base's; got other values; it was trained, or "
                  "belongs to another base: merge the adapter into its own base in PEFT.",
                  slot.name);
  }
}

}  // namespace

Adapter read_adapter(const std::filesystem::path& folder, const ModelConfig& config) {
  const AdapterFiles files = read_adapter_files(folder);
  const std::string where = files.tensor_file.string();
  const auto layers = lora_modules(config);
  const bool matches_any = std::any_of(files.pairs.begin(), files.pairs.end(),
                                       [&](const auto& pair) { return layers.contains(canonical_name(pair.first)); });
  TRIREME_CHECK(matches_any, DataError, where,
                "an adapter must match at least one layer of the model; got {} modules ({}, ..), none in this {} "
                "model; check that it was made for this base.",
                files.pairs.size(), quote_text(files.pairs.begin()->first), family_name(config.family));

  Adapter adapter;
  adapter.path = folder;
  adapter.base_model_name = files.peft.base_model_name;
  adapter.naming = files.naming;
  adapter.rslora = files.peft.rslora;
  adapter.dropout = files.peft.dropout;
  for (const auto& [path, pair] : files.pairs) {
    const std::string module = canonical_name(path);
    const auto layer = layers.find(module);
    TRIREME_CHECK(layer != layers.end(), DataError, where,
                  "every adapted module must be a linear layer of the model, or the convolution that cuts patches; got "
                  "{}, which this {} model of {} layers lacks; the adapter was made for another base.",
                  quote_text(path), family_name(config.family), config.decoder.layers);
    require_fit(files, path, pair, layer->second);
    const int64_t rank = pair.a->shape[0];
    const auto [known, inserted] = adapter.modules.emplace(
        module, LoraPair{files.tensors.tensor(*pair.a).view({rank, -1}), files.tensors.tensor(*pair.b).view({-1, rank}),
                         files.scale_of(path), files.peft.alpha_of(path)});
    TRIREME_CHECK(inserted, DataError, where,
                  "a module must be in the file once; got {} in two spellings; save the adapter again in PEFT.",
                  module);
  }
  for (const auto& [name, entry] : files.base_copies)
    adapter.base_copies.emplace(name, base_copy(files, name, *entry, config.decoder));
  require_targets_present(files, linear_modules(config), !config.vision);
  adapter.sha256 = sha256_hex_of_files(std::vector{files.tensor_file});
  return adapter;
}

int64_t attach_adapter(const ModelTensors& model, const Adapter& adapter) {
  TRIREME_CHECK(!adapter.modules.empty(), DataError, "adapter",
                "at least one LoRA pair required; got none; check adapter_model.safetensors.");
  require_same_base(model, adapter);
  std::unordered_map<std::string, LinearModule> by_path;
  for (LinearModule& module : lora_layers(model)) by_path.emplace(module.path, module);
  for (const auto& [path, pair] : adapter.modules) {
    const auto found = by_path.find(path);
    TRIREME_CHECK(found != by_path.end(), DataError, "adapter",
                  "every adapted module must be in the model; got {}; use an adapter trained on this base model.",
                  path);
    attach_pair(found->second, pair, adapter.dropout, lora_dtype(model), model.device);
  }
  return static_cast<int64_t>(adapter.modules.size());
}

std::vector<std::string> unused_tensors(const Adapter& adapter, bool head) {
  std::vector<std::string> unused;
  for (const auto& [name, copy] : adapter.base_copies)
    unused.push_back(fmt::format("the adapter's {} (a copy of the base's)", name));
  if (!head && adapter.modules.contains("lm_head"))
    unused.emplace_back("the adapter's LoRA on lm_head (nothing here asks for the vocabulary's scores)");
  return unused;
}

}  // namespace trireme
