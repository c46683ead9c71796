#include "models/weights/adapter_files.h"

#include <array>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/shape.h"

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

std::map<std::string, LoraEntries> pair_up(const SafetensorsFile& file) {
  std::map<std::string, LoraEntries> pairs;
  for (const SafetensorsEntry& entry : file.entries()) {
    const std::string_view name = entry.name;
    const bool is_a = name.ends_with(kSuffixA), is_b = name.ends_with(kSuffixB);
    if (!name.starts_with(kPrefix) || (!is_a && !is_b)) refuse_tensor(file.path().string(), entry.name);
    const bool known = entry.dtype == c10::kBFloat16 || entry.dtype == c10::kHalf || entry.dtype == c10::kFloat;
    TRIREME_CHECK(known, DataError, file.path().string(),
                  "an adapter's tensors must be bfloat16, float16 or float32; got {} in {}; save it again in PEFT.",
                  quote_text(entry.name), dtype_name(entry.dtype));
    // Both suffixes are of one length.
    LoraEntries& pair = pairs[std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffixA.size()))];
    (is_a ? pair.a : pair.b) = &entry;
  }
  return pairs;
}

}  // namespace

AdapterFiles read_adapter_files(const std::filesystem::path& folder) {
  const auto config_file = required_file(folder, "adapter_config.json");
  const auto tensor_file = required_file(folder, "adapter_model.safetensors");
  AdapterFiles files{tensor_file, read_peft_config(config_file), SafetensorsFile(tensor_file), {}, TensorNaming::kOld};
  files.pairs = pair_up(files.tensors);
  const std::string where = tensor_file.string();
  TRIREME_CHECK(!files.pairs.empty(), DataError, where,
                "an adapter must hold LoRA tensors; got none, so it matches no module; check how it was saved.");
  for (const auto& [path, pair] : files.pairs) {
    TRIREME_CHECK(pair.a != nullptr && pair.b != nullptr, DataError, where,
                  "lora_A and lora_B must come together; got {} without {}; the file is not complete.",
                  quote_text(path + std::string(pair.a ? kSuffixA : kSuffixB)), pair.a ? "lora_B" : "lora_A");
    const bool one_rank =
        pair.a->shape.size() == 2 && pair.b->shape.size() == 2 && pair.a->shape[0] == pair.b->shape[1];
    TRIREME_CHECK(
        one_rank, ShapeError, where,
        "A [r, in] and B [out, r] of {} must have one rank; got A {} and B {}; save the adapter again in PEFT.",
        quote_text(path), shape_string(pair.a->shape), shape_string(pair.b->shape));
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
