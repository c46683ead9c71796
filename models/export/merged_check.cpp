#include "models/export/merged_check.h"

#include <optional>

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/mm.h>

#include "core/error.h"
#include "core/io/quote.h"
#include "core/io/safetensors.h"
#include "core/rng.h"
#include "core/shape.h"
#include "models/config_tensors.h"
#include "models/export/probe.h"
#include "models/weights/tensor_names.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHead = "lm_head.weight", kEmbeddings = "model.embed_tokens.weight";
constexpr double kMergedTolerance = 1e-5, kMergedHalfTolerance = 2e-2;

torch::Tensor random_rows(int64_t rows, int64_t columns, const std::string& name) {
  RandomStream random = random_stream(0, "export.rows." + name);
  auto x = at::empty({rows, columns}, at::TensorOptions(torch::kFloat32));
  float* values = x.mutable_data_ptr<float>();
  for (int64_t i = 0; i < x.numel(); ++i) values[i] = static_cast<float>(random.normal());
  return x;
}

/// What the layer with its LoRA beside it gives for some rows, against the one weight that was written. The largest
/// difference over the largest value.
double difference_of_products(const torch::Tensor& written, const LinearModule& module) {
  constexpr int64_t kRows = 4;
  const torch::Tensor x = random_rows(kRows, module.in_features, module.path);
  Linear unbiased = *module.layer;
  unbiased.bias.reset();
  const torch::Tensor expected = linear(x, unbiased).narrow(1, module.row_begin, module.rows);
  const torch::Tensor found = at::mm(x, written.to(torch::kFloat32).view({module.rows, -1}).t());
  const double largest = expected.abs().max().item<double>();
  return largest_difference(found, expected) / (largest > 0 ? largest : 1);
}

class MergedCheck {
 public:
  MergedCheck(const fs::path& folder, Lmm& model, const MergedExport& options)
      : folder_(folder),
        options_(options),
        written_(folder),
        shapes_(tensor_shapes(merged_config(model))),
        was_tied_(model.config.decoder.tie_word_embeddings) {
    if (has_weights(options.source)) source_.emplace(options.source);
    for (Parameter& parameter : named_parameters(model)) parameters_.emplace(parameter.name, parameter);
    for (const LinearModule& module : lora_layers(model)) {
      for (const LoraTerm& term : module.layer->lora) {
        if (term.path == module.path) adapted_.emplace(module.path + ".weight", module);
      }
    }
    if (!source_) return;
    for (const std::string& name : source_->names()) source_name_of_.emplace(canonical_name(name), name);
    // A tied head may lie in the base's files alone.
    const auto head = source_name_of_.find(std::string(kHead));
    if (head != source_name_of_.end()) source_name_of_.emplace(kEmbeddings, head->second);
  }

  TensorAccount run() const {
    TensorAccount account;
    for (const std::string& name : written_.names()) account.written.emplace(name, origin_of(name));
    if (!source_) return account;
    for (const std::string& name : source_->names()) {
      if (!account.written.contains(name)) account.left_out.emplace(name, reason_without(name));
    }
    return account;
  }

 private:
  /// Checks a tensor that was written, and says where its values are from.
  std::string origin_of(const std::string& name) const {
    const std::string canonical = canonical_name(name);
    const auto shape = shapes_.find(canonical);
    require(shape != shapes_.end(), name, "one of the model's", "one that it lacks");
    const SafetensorsEntry& entry = *written_.find(name);
    require(entry.shape == shape->second, name, shape_string(shape->second), shape_string(entry.shape));
    require(entry.dtype == options_.dtype, name, dtype_name(options_.dtype), dtype_name(entry.dtype));
    const torch::Tensor tensor = written_.tensor(name);

    const auto adapted = adapted_.find(canonical);
    if (adapted != adapted_.end()) {
      const double bar = options_.dtype == torch::kFloat32 ? kMergedTolerance : kMergedHalfTolerance;
      const double difference = difference_of_products(tensor, adapted->second);
      require(difference <= bar, name, fmt::format("what its layer and LoRA give to {:g}", bar),  // not for NaN either
              fmt::format("a difference of {:g}", difference));
      return canonical == kHead && was_tied_ ? "the embeddings with LoRA merged in: no longer tied" : "LoRA merged in";
    }
    const auto parameter = parameters_.find(canonical);
    const auto source = source_name_of_.find(canonical);
    const bool trained = parameter != parameters_.end() && parameter->second.storage->requires_grad();
    const bool from_base = !trained && source != source_name_of_.end();
    require(from_base || parameter != parameters_.end(), name, "a tensor that model or base has", "neither");
    const torch::Tensor expected = from_base ? source_->tensor(source->second) : parameter->second.value;
    require(at::equal(tensor, expected.to(torch::kCPU, torch::kFloat32).to(options_.dtype)), name,
            from_base ? "the base's values" : "the model's values", "others");
    return from_base ? "as in the base" : trained ? "trained" : "as drawn";
  }

  /// Why a tensor of the base need not be among those written.
  std::string reason_without(const std::string& name) const {
    const std::string canonical = canonical_name(name);
    if (canonical.ends_with(".inv_freq")) return "made anew from config.json";
    if (canonical == kHead && !shapes_.contains(std::string(kHead))) return "tied: it is the embeddings";
    throw DataError(
        folder_.string(),
        fmt::format("every tensor of the base must be written; got none for {}; nothing was kept.", quote_text(name)));
  }

  void require(bool holds, const std::string& name, std::string_view wanted, std::string_view found) const {
    TRIREME_CHECK(holds, DataError, folder_.string(),
                  "the tensor {} that is written must be {}; got {}; nothing was kept; check the disk, and export in "
                  "float32 if the weights do not suit the dtype.",
                  quote_text(name), wanted, found);
  }

  const fs::path& folder_;
  const MergedExport& options_;
  const SafetensorsFolder written_;
  const std::map<std::string, std::vector<int64_t>> shapes_;
  const bool was_tied_;
  std::optional<SafetensorsFolder> source_;
  std::map<std::string, std::string> source_name_of_;  ///< canonical -> as in the base's files
  std::map<std::string, Parameter> parameters_;
  std::map<std::string, LinearModule> adapted_;  ///< by the name of the weight
};

}  // namespace

TensorAccount check_merged_folder(const fs::path& folder, Lmm& model, const MergedExport& options) {
  return MergedCheck(folder, model, options).run();
}

}  // namespace trireme
