#include "models/weights/adapter_files.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
/// Parts of a path that are wrappers, not modules.
constexpr std::array<std::string_view, 3> kWrappers{"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};

/// Tensors that PEFT writes for what is not plain LoRA; the first that fits names the reason.
struct Refusal {
  std::string_view part, reason;
};
constexpr std::array kRefusals{
    Refusal{".lora_embedding_", "LoRA on embeddings is not supported"},
    Refusal{".lora_magnitude_vector", "DoRA is not supported"},
    Refusal{".lora_diag", "KaSA is not supported"},
    Refusal{".modules_to_save.", "fully trained modules (modules_to_save) are not supported"},
    Refusal{".token_adapter.", "trained token embeddings are not supported"},
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

[[noreturn]] void refuse_tensor(const std::string& file, std::string_view name) {
  const bool lora = name.find(".lora_") != std::string_view::npos;
  std::string_view reason = "it is no tensor of a LoRA adapter";
  if (name.ends_with(".weight")) reason = "a tensor of a whole module, as modules_to_save leaves it, is not supported";
  if (name.ends_with(".bias")) reason = "trained biases are not supported";
  if (lora) reason = name.ends_with(".bias") ? "LoRA with a bias is not supported" : "this is not plain LoRA";
  for (const Refusal& refusal : kRefusals)
    if (name.find(refusal.part) != std::string_view::npos) {
      reason = refusal.reason;
      break;
    }
  throw DataError(file, fmt::format("an adapter's tensors must be named {}MODULE.lora_A.weight or {}MODULE.lora_B."
                                    "weight; got {}; {}.",
                                    kPrefix, kPrefix, quote_text(name), reason));
}

/// The parts of a name without prefix and wrappers.
std::vector<std::string_view> parts_of(std::string_view name) {
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    if (std::ranges::find(kWrappers, part) == kWrappers.end()) parts.push_back(part);
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

std::string joined(std::span<const std::string_view> parts) { return fmt::format("{}", fmt::join(parts, ".")); }

/// A tensor's name taken apart.
struct AdapterTensorName {
  std::string module;   ///< as the file spells it
  bool is_b = false;    ///< lora_B
  std::string adapter;  ///< the adapter's own name, "" where it is left out
};

/// nullopt: no half of a LoRA pair.
std::optional<AdapterTensorName> parse_lora_name(std::string_view name) {
  const std::vector<std::string_view> parts = parts_of(name);
  if (parts.back() != "weight") return std::nullopt;
  for (const std::size_t behind : {std::size_t{2}, std::size_t{3}}) {  // lora_A.weight, lora_A.NAME.weight
    if (parts.size() <= behind) continue;
    const std::string_view half = parts[parts.size() - behind];
    if (half != "lora_A" && half != "lora_B") continue;
    return AdapterTensorName{joined(std::span(parts).first(parts.size() - behind)), half == "lora_B",
                             behind == 3 ? std::string(parts[parts.size() - 2]) : ""};
  }
  return std::nullopt;
}

/// The canonical name of a whole tensor that PEFT copies out of the base; nullopt for other names.
std::optional<std::string> parse_base_copy(std::string_view name) {
  std::vector<std::string_view> parts = parts_of(name);
  if (parts.size() > 2 && parts[parts.size() - 2] == "base_layer") parts.erase(parts.end() - 2);
  std::string canonical = canonical_name(joined(parts));
  if (canonical == "model.embed_tokens.weight" || canonical == "lm_head.weight") return canonical;
  return std::nullopt;
}

void require_dtype(const std::string& file, const SafetensorsEntry& entry) {
  const bool known = entry.dtype == c10::kBFloat16 || entry.dtype == c10::kHalf || entry.dtype == c10::kFloat;
  TRIREME_CHECK(known, DataError, file,
                "an adapter's tensors must be bfloat16, float16 or float32; got {} in {}; save it again in PEFT.",
                quote_text(entry.name), dtype_name(entry.dtype));
}

/// Puts every tensor of the file where it belongs.
void sort_tensors(AdapterFiles& files) {
  const std::string file = files.tensor_file.string();
  std::optional<std::string> adapter;
  for (const SafetensorsEntry& entry : files.tensors.entries()) {
    const auto name = parse_lora_name(entry.name);
    const auto copied = name ? std::nullopt : parse_base_copy(entry.name);
    if (!name && !copied) refuse_tensor(file, entry.name);
    require_dtype(file, entry);
    if (copied) {
      TRIREME_CHECK(files.base_copies.emplace(*copied, &entry).second, DataError, file,
                    "a tensor must be in the file once; got {} in two spellings; save the adapter again in PEFT.",
                    *copied);
      continue;
    }
    const auto named = [](const std::string& text) { return text.empty() ? "none" : quote_text(text); };
    TRIREME_CHECK(adapter.value_or(name->adapter) == name->adapter, DataError, file,
                  "the tensors must be of one adapter; got the names {} and {} between lora_A and weight; save the "
                  "adapters apart (PEFT's save_pretrained does).",
                  named(*adapter), named(name->adapter));
    adapter = name->adapter;
    LoraEntries& pair = files.pairs[name->module];
    const SafetensorsEntry*& half = name->is_b ? pair.b : pair.a;
    TRIREME_CHECK(half == nullptr, DataError, file,
                  "a tensor must be in the file once; got {} and {}; save the adapter again in PEFT.",
                  quote_text(half->name), quote_text(entry.name));
    half = &entry;
  }
}

/// A [r, in] and B [out, r], or those of a convolution: A [r, channels, kernel..], B [out, r, 1..].
void require_one_rank(const std::string& file, const std::string& path, const LoraEntries& pair) {
  const std::vector<int64_t>&a = pair.a->shape, &b = pair.b->shape;
  const auto holds_nothing = [](const std::vector<int64_t>& shape) {
    return shape.empty() || std::ranges::find(shape, 0) != shape.end();
  };
  const bool empty = holds_nothing(a) || holds_nothing(b);
  const bool fits = !empty && a.size() == b.size() && a.size() >= 2 && a[0] == b[1] &&
                    std::all_of(b.begin() + 2, b.end(), [](int64_t size) { return size == 1; });
  TRIREME_CHECK(fits, ShapeError, file,
                "A [r, in] and B [out, r] of {} must have one rank (of a convolution: A [r, channels, kernel..], B "
                "[out, r, 1..]); got A {} and B {}; {}.",
                quote_text(path), shape_string(a), shape_string(b),
                empty ? "tensors without values are left where DeepSpeed's or FSDP's parts were not gathered; save the "
                        "adapter again with them gathered"
                      : "save the adapter again in PEFT");
}

}  // namespace

AdapterFiles read_adapter_files(const std::filesystem::path& folder) {
  const auto config_file = required_file(folder, "adapter_config.json");
  const auto tensor_file = required_file(folder, "adapter_model.safetensors");
  AdapterFiles files{tensor_file, read_peft_config(config_file), SafetensorsFile(tensor_file), {}, {}};
  sort_tensors(files);
  const std::string where = tensor_file.string();
  TRIREME_CHECK(!files.pairs.empty(), DataError, where,
                "an adapter must hold LoRA tensors; got none, so it matches no module; check how it was saved.");
  for (const auto& [path, pair] : files.pairs) {
    TRIREME_CHECK(pair.a != nullptr && pair.b != nullptr, DataError, where,
                  "lora_A and lora_B must come together; got {} without {}; the file is not complete.",
                  quote_text((pair.a ? pair.a : pair.b)->name), pair.a ? "lora_B" : "lora_A");
    require_one_rank(where, path, pair);
    const int64_t rank = files.peft.rank_of(path);
    TRIREME_CHECK(
        pair.a->shape[0] == rank, DataError, where,
        "the rank of {} must be {} as adapter_config.json says (r, rank_pattern); got A {}; the two files must "
        "be of one adapter.",
        quote_text(path), rank, shape_string(pair.a->shape));
    const bool is_head = path == "lm_head";
    TRIREME_CHECK(
        files.peft.selects(path, is_head), DataError, where,
        "every module in the file must be selected by target_modules of adapter_config.json; got {}, which is "
        "not; the two files must be of one adapter.",
        quote_text(path));
    if (naming_of(path) != TensorNaming::kOld) files.naming = naming_of(path);
  }
  return files;
}

double AdapterFiles::scale_of(std::string_view path) const {
  const auto rank = static_cast<double>(peft.rank_of(path));
  return peft.alpha_of(path) / (peft.rslora ? std::sqrt(rank) : rank);
}

}  // namespace trireme
