#include "models/weights/adapter.h"

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "models/linear_modules.h"
#include "models/weights/adapter_files.h"

namespace trireme {
namespace {

void require_fit(const AdapterFiles& files, const std::string& path, const LoraEntries& pair,
                 const LinearShape& linear) {
  const auto& a = pair.a->shape;
  const auto& b = pair.b->shape;
  const std::string& base = files.peft.base_model_name;
  TRIREME_CHECK(a[1] == linear.in_features && b[0] == linear.out_features, ShapeError, files.tensor_file.string(),
                "LoRA on {} must fit its weight [{}, {}]: A [r, {}] and B [{}, r]; got A {} and B {}; the adapter was "
                "made for another base{}.",
                path, linear.out_features, linear.in_features, linear.in_features, linear.out_features, shape_string(a),
                shape_string(b), base.empty() ? "" : " (" + quote_text(base) + ")");
}

/// A target that the model has, but the adapter holds no tensor for: the files are not of one adapter, or not complete.
void require_targets_present(const AdapterFiles& files, const std::map<std::string, LinearShape>& linears,
                             bool text_only) {
  const auto* targets = files.peft.targets ? std::get_if<std::vector<std::string>>(&*files.peft.targets) : nullptr;
  if (targets == nullptr) return;
  for (const std::string& target : *targets) {
    const bool in_file = std::any_of(files.pairs.begin(), files.pairs.end(),
                                     [&](const auto& pair) { return names_module(target, pair.first); });
    if (in_file) continue;
    for (const auto& [canonical, shape] : linears) {
      const std::string path = spelled(canonical, files.naming, text_only);
      TRIREME_CHECK(!names_module(target, path) || !files.peft.selects(path, canonical == "lm_head"), DataError,
                    files.tensor_file.string(),
                    "every module in target_modules must have tensors in the file; got none for {} ({}); the two files "
                    "must be of one complete adapter.",
                    quote_text(target), path);
    }
  }
}

}  // namespace

Adapter read_adapter(const std::filesystem::path& folder, const ModelConfig& config) {
  const AdapterFiles files = read_adapter_files(folder);
  const std::string where = files.tensor_file.string();
  const auto linears = linear_modules(config);
  const bool matches_any = std::any_of(files.pairs.begin(), files.pairs.end(),
                                       [&](const auto& pair) { return linears.contains(canonical_name(pair.first)); });
  TRIREME_CHECK(
      matches_any, DataError, where,
      "an adapter must match at least one linear layer of the model; got {} modules ({}, ..), none in this {} "
      "model; check that it was made for this base.",
      files.pairs.size(), quote_text(files.pairs.begin()->first), family_name(config.family));

  Adapter adapter;
  adapter.path = folder;
  adapter.base_model_name = files.peft.base_model_name;
  adapter.naming = files.naming;
  adapter.rslora = files.peft.rslora;
  for (const auto& [path, pair] : files.pairs) {
    const std::string module = canonical_name(path);
    const auto linear = linears.find(module);
    TRIREME_CHECK(linear != linears.end(), DataError, where,
                  "every adapted module must be a linear layer of the model; got {}, which this {} model of {} layers "
                  "lacks; the adapter was made for another base.",
                  quote_text(path), family_name(config.family), config.decoder.layers);
    require_fit(files, path, pair, linear->second);
    const auto [known, inserted] =
        adapter.modules.emplace(module, LoraPair{files.tensors.tensor(*pair.a), files.tensors.tensor(*pair.b),
                                                 files.scale_of(path), files.peft.alpha_of(path)});
    TRIREME_CHECK(inserted, DataError, where,
                  "a module must be in the file once; got {} in two spellings; save the adapter again in PEFT.",
                  module);
  }
  require_targets_present(files, linears, config.family == ModelFamily::kQwen2);
  adapter.sha256 = sha256_hex_of_files(std::vector{files.tensor_file});
  return adapter;
}

}  // namespace trireme
