#include "models/weights/adapter.h"

#include <array>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/io/safetensors.h"
#include "core/shape.h"
#include "models/linear_modules.h"
#include "models/weights/peft_config.h"

namespace trireme {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kSuffixA = ".lora_A.weight", kSuffixB = ".lora_B.weight";

/// Tensors that PEFT writes for what is not plain LoRA on linear layers; the first that fits names the reason.
struct Refusal {
  std::string_view part, reason;
};
constexpr std::array kRefusals{
    Refusal{".lora_embedding_", "LoRA on embeddings is not supported"},
    Refusal{".lora_magnitude_vector", "DoRA is not supported"},
    Refusal{".lora_B.bias", "LoRA with a bias is not supported"},
    Refusal{".lora_A.bias", "LoRA with a bias is not supported"},
    Refusal{".modules_to_save.", "fully trained modules (modules_to_save) are not supported"},
    Refusal{".token_adapter.", "trained token embeddings are not supported"},
};

struct Halves {
  const SafetensorsEntry* a = nullptr;
  const SafetensorsEntry* b = nullptr;
};

std::filesystem::path required_file(const std::filesystem::path& folder, std::string_view name) {
  std::error_code ignored;
  TRIREME_CHECK(std::filesystem::is_directory(folder, ignored), DataError, "adapter",
                "an adapter must be a folder; got {}, which is none; check the path.", folder.string());
  const bool pickled = std::filesystem::exists(folder / "adapter_model.bin", ignored);
  TRIREME_CHECK(
      std::filesystem::exists(folder / name, ignored), DataError, "adapter",
      "an adapter folder must hold {}; got {} without one{}; {}.", name, folder.string(),
      pickled ? " (only adapter_model.bin)" : "",
      pickled ? "convert it: load it in PEFT and save_pretrained(.., safe_serialization=True)" : "check the path");
  return folder / name;
}

[[noreturn]] void refuse_tensor(const std::string& file, const std::string& name) {
  std::string_view reason = "a tensor without lora_A or lora_B is a fully trained one (modules_to_save), not supported";
  for (const Refusal& refusal : kRefusals)
    if (name.find(refusal.part) != std::string::npos) {
      reason = refusal.reason;
      break;
    }
  throw DataError(file, fmt::format("an adapter's tensors must be named {}MODULE{} or {}MODULE{}; got {}; {}.", kPrefix,
                                    kSuffixA, kPrefix, kSuffixB, quote_text(name), reason));
}

/// By module path as the file spells it.
std::map<std::string, Halves> pair_up(const SafetensorsFile& file) {
  std::map<std::string, Halves> pairs;
  for (const SafetensorsEntry& entry : file.entries()) {
    const std::string_view name = entry.name;
    const bool is_a = name.ends_with(kSuffixA), is_b = name.ends_with(kSuffixB);
    if (!name.starts_with(kPrefix) || (!is_a && !is_b)) refuse_tensor(file.path().string(), entry.name);
    const bool known = entry.dtype == c10::kBFloat16 || entry.dtype == c10::kHalf || entry.dtype == c10::kFloat;
    TRIREME_CHECK(known, DataError, file.path().string(),
                  "an adapter's tensors must be bfloat16, float16 or float32; got {} in {}; save it again in PEFT.",
                  quote_text(entry.name), dtype_name(entry.dtype));
    // Both suffixes are of one length.
    Halves& halves = pairs[std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffixA.size()))];
    (is_a ? halves.a : halves.b) = &entry;
  }
  return pairs;
}

void require_shapes(const Adapter& adapter, const std::string& file, const std::string& module, const Halves& halves,
                    const LinearShape& linear, int64_t expected_rank) {
  const at::IntArrayRef a = halves.a->shape, b = halves.b->shape;
  const bool fits = a.size() == 2 && b.size() == 2 && a[1] == linear.in_features && b[0] == linear.out_features;
  TRIREME_CHECK(
      fits, ShapeError, file,
      "LoRA on {} must fit its weight {}: A [r, {}] and B [{}, r]; got A {} and B {}; the adapter was made for "
      "another base{}.",
      module, shape_string(std::vector<int64_t>{linear.out_features, linear.in_features}), linear.in_features,
      linear.out_features, shape_string(a), shape_string(b),
      adapter.base_model_name.empty() ? "" : " (" + quote_text(adapter.base_model_name) + ")");
  TRIREME_CHECK(a[0] == b[1], ShapeError, file,
                "A [r, in] and B [out, r] of {} must have one rank; got A {} and B {}; save the adapter again in PEFT.",
                module, shape_string(a), shape_string(b));
  TRIREME_CHECK(a[0] == expected_rank, DataError, file,
                "the rank of {} must be {} as adapter_config.json says (r, rank_pattern); got A {}; the two files must "
                "be of one adapter.",
                module, expected_rank, shape_string(a));
}

/// A target that the model has, but the adapter holds no tensor for: the files are not of one adapter, or not complete.
void require_targets_present(const PeftConfig& peft, const Adapter& adapter, const std::string& file,
                             const std::map<std::string, LinearShape>& linears,
                             const std::map<std::string, Halves>& pairs, bool text_only) {
  const auto* targets = peft.targets ? std::get_if<std::vector<std::string>>(&*peft.targets) : nullptr;
  if (targets == nullptr) return;
  for (const std::string& target : *targets) {
    const bool in_file =
        std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) { return names_module(target, pair.first); });
    if (in_file) continue;
    for (const auto& [canonical, shape] : linears) {
      const std::string path = spelled(canonical, adapter.naming, text_only);
      TRIREME_CHECK(!names_module(target, path) || !peft.selects(path, canonical == "lm_head"), DataError, file,
                    "every module in target_modules must have tensors in the file; got none for {} ({}); the two files "
                    "must be of one complete adapter.",
                    quote_text(target), path);
    }
  }
}

}  // namespace

Adapter read_adapter(const std::filesystem::path& folder, const ModelConfig& config) {
  const auto config_file = required_file(folder, "adapter_config.json");
  const auto tensor_file = required_file(folder, "adapter_model.safetensors");
  const PeftConfig peft = read_peft_config(config_file);
  const SafetensorsFile tensors(tensor_file);
  const std::string where = tensor_file.string();
  const auto pairs = pair_up(tensors);
  TRIREME_CHECK(!pairs.empty(), DataError, where,
                "an adapter must hold LoRA tensors; got none, so it matches no module; check how it was saved.");

  Adapter adapter;
  adapter.path = folder;
  adapter.base_model_name = peft.base_model_name;
  adapter.rslora = peft.rslora;
  for (const auto& [path, halves] : pairs)
    if (naming_of(path) != TensorNaming::kOld) adapter.naming = naming_of(path);

  const auto linears = linear_modules(config);
  const bool matches_any = std::any_of(pairs.begin(), pairs.end(),
                                       [&](const auto& pair) { return linears.contains(canonical_name(pair.first)); });
  TRIREME_CHECK(
      matches_any, DataError, where,
      "an adapter must match at least one linear layer of the model; got {} modules ({}, ..), none in this {} "
      "model; check that it was made for this base.",
      pairs.size(), quote_text(pairs.begin()->first), family_name(config.family));
  for (const auto& [path, halves] : pairs) {
    const std::string module = canonical_name(path);
    const auto linear = linears.find(module);
    TRIREME_CHECK(linear != linears.end(), DataError, where,
                  "every adapted module must be a linear layer of the model; got {}, which this {} model of {} layers "
                  "lacks; the adapter was made for another base.",
                  quote_text(path), family_name(config.family), config.decoder.layers);
    TRIREME_CHECK(halves.a != nullptr && halves.b != nullptr, DataError, where,
                  "lora_A and lora_B must come together; got {} without {}; the file is not complete.",
                  quote_text(path + std::string(halves.a ? kSuffixA : kSuffixB)), halves.a ? "lora_B" : "lora_A");
    TRIREME_CHECK(
        peft.selects(path, module == "lm_head"), DataError, where,
        "every module in the file must be selected by target_modules of adapter_config.json; got {}, which is "
        "not; the two files must be of one adapter.",
        quote_text(path));
    const int64_t rank = peft.rank_of(path);
    require_shapes(adapter, where, path, halves, linear->second, rank);
    const double alpha = peft.alpha_of(path);
    const double divisor = peft.rslora ? std::sqrt(static_cast<double>(rank)) : static_cast<double>(rank);
    const auto [known, inserted] = adapter.modules.emplace(
        module, LoraPair{tensors.tensor(*halves.a), tensors.tensor(*halves.b), alpha / divisor, alpha});
    TRIREME_CHECK(inserted, DataError, where,
                  "a module must be in the file once; got {} in two spellings; save the adapter again in PEFT.",
                  module);
  }
  require_targets_present(peft, adapter, where, linears, pairs, config.family == ModelFamily::kQwen2);
  adapter.sha256 = sha256_hex_of_files(std::vector{tensor_file});
  return adapter;
}

}  // namespace trireme
