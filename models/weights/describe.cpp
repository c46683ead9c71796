#include "models/weights/describe.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>

#include "core/facts.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "models/config_tensors.h"
#include "models/weights/adapter_files.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace {

/// Beside config.json and the weights; `embed` needs the first two of them.
constexpr std::array kCompanions{"tokenizer.json", "preprocessor_config.json", "tokenizer_config.json",
                                 "generation_config.json"};

constexpr std::array kPartNames{"embeddings", "decoder", "head", "vision tower", "merger"};  // as ModelPart has them

int64_t element_count(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

/// Unlike a base model's own, an adapter's module names can be anything.
std::string leaf_of(std::string_view module_path) {
  const std::string_view leaf = module_path.substr(module_path.rfind('.') + 1);  // npos + 1 is 0: the whole path
  const bool plain = std::all_of(leaf.begin(), leaf.end(), [](unsigned char c) { return std::isalnum(c) || c == '_'; });
  return plain ? std::string(leaf) : quote_text(leaf);
}

template <class Part>
int64_t sum_of_parameters(const std::vector<Part>& parts) {
  return std::accumulate(parts.begin(), parts.end(), int64_t{0},
                         [](int64_t sum, const Part& part) { return sum + part.parameters; });
}

std::string joined(const std::map<std::string, int64_t>& parameters_by_dtype) {
  std::vector<std::string> dtypes;
  for (const auto& [dtype, count] : parameters_by_dtype)
    dtypes.push_back(parameters_by_dtype.size() == 1 ? dtype : fmt::format("{} {}", dtype, with_commas(count)));
  return fmt::format("{}", fmt::join(dtypes, ", "));
}

/// "3: a, b, c" or "7: a, b, c, ..". `names` are fit for a terminal.
std::string first_few(const std::vector<std::string>& names) {
  const std::size_t shown = std::min<std::size_t>(names.size(), 3);
  return fmt::format("{}: {}{}", names.size(),
                     fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                     shown < names.size() ? ", .." : "");
}

/// Compares what the files hold with what config.json asks for.
void check_tensors(const HubCheckpoint& checkpoint, CheckpointDescription& description) {
  const auto expected = tensor_shapes(checkpoint.config());
  for (const auto& [name, shape] : expected) {
    const bool tolerated = name == "lm_head.weight" && checkpoint.naming() == TensorNaming::kBaseModel;
    if (!checkpoint.has(name)) {
      if (!tolerated) description.missing.push_back(name);
    } else if (checkpoint.entry(name).shape != shape) {
      description.misshapen.push_back(
          fmt::format("{} {} for {}", name, shape_string(checkpoint.entry(name).shape), shape_string(shape)));
    }
  }
  for (const std::string& name : checkpoint.names())
    if (!expected.contains(name)) description.surplus.push_back(quote_text(name));
}

std::string rope_line(const DecoderConfig& decoder) {
  if (decoder.mrope_section.empty()) return fmt::format("1-D, theta {}", decoder.rope_theta);
  return fmt::format("M-RoPE, sections [{}] of time, height, width, theta {}", fmt::join(decoder.mrope_section, ", "),
                     decoder.rope_theta);
}

std::string vision_line(const ModelConfig& config) {
  const VisionConfig& vision = *config.vision;
  std::string line = fmt::format("{} of {}, {}, MLP {} ({}), patches {}x{}x{}, merged {}x{}",
                                 counted(vision.depth, "block"), vision.embed_dim, counted(vision.heads, "head"),
                                 vision.intermediate_size, vision.activation, vision.temporal_patch_size,
                                 vision.patch_size, vision.patch_size, vision.merge_size, vision.merge_size);
  if (vision.window_size > 0)
    line += fmt::format(", windows of {} pixels but for blocks [{}]", vision.window_size,
                        fmt::join(vision.full_attention_blocks, ", "));
  return line;
}

}  // namespace

int64_t CheckpointDescription::parameters() const { return sum_of_parameters(parts); }
int64_t AdapterDescription::parameters() const { return sum_of_parameters(groups); }

bool is_adapter_folder(const std::filesystem::path& folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder / "adapter_config.json", ignored) &&
         !std::filesystem::exists(folder / "config.json", ignored);
}

CheckpointDescription describe_checkpoint(const std::filesystem::path& folder) {
  const HubCheckpoint checkpoint(folder);
  CheckpointDescription description;
  description.path = folder;
  description.config = checkpoint.config();
  description.naming = checkpoint.naming();
  description.weight_files = checkpoint.weight_files();
  for (const auto& file : description.weight_files) description.weight_bytes += std::filesystem::file_size(file);
  for (const char* name : kPartNames) description.parts.push_back({name});
  for (const std::string& name : checkpoint.names()) {
    const SafetensorsEntry& entry = checkpoint.entry(name);
    auto& part = description.parts[static_cast<std::size_t>(part_of(name))];
    ++part.tensors;
    part.parameters += element_count(entry.shape);
    description.parameters_by_dtype[dtype_name(entry.dtype)] += element_count(entry.shape);
  }
  std::erase_if(description.parts, [](const auto& part) { return part.tensors == 0; });
  check_tensors(checkpoint, description);
  description.unused = checkpoint.unused();
  description.untied_by_files = checkpoint.untied_by_files();
  std::error_code ignored;
  for (const char* name : kCompanions) {
    const bool present = std::filesystem::exists(folder / name, ignored);
    (present ? description.files_present : description.files_absent).push_back(name);
  }
  description.lora_parameters_per_rank = decoder_lora_parameters_per_rank(description.config);
  return description;
}

AdapterDescription describe_adapter(const std::filesystem::path& folder) {
  const AdapterFiles files = read_adapter_files(folder);
  AdapterDescription description;
  description.path = folder;
  description.base_model_name = files.peft.base_model_name;
  description.sha256 = sha256_hex_of_files(std::vector{files.tensor_file});
  description.naming = files.naming;
  description.rslora = files.peft.rslora;
  std::map<std::tuple<std::string, int64_t, double>, AdapterDescription::Group> groups;
  for (const auto& [path, pair] : files.pairs) {
    const ModelPart part = part_of(canonical_name(path));
    ++(sees_pictures(part)        ? description.vision_modules
       : part == ModelPart::kHead ? description.head_modules
                                  : description.decoder_modules);
    const int64_t rank = files.peft.rank_of(path);
    const double scale = files.scale_of(path);
    auto& group = groups[{leaf_of(path), rank, scale}];
    group = {leaf_of(path),
             rank,
             group.modules + 1,
             group.parameters + element_count(pair.a->shape) + element_count(pair.b->shape),
             files.peft.alpha_of(path),
             scale};
    for (const SafetensorsEntry* entry : {pair.a, pair.b})
      description.parameters_by_dtype[dtype_name(entry->dtype)] += element_count(entry->shape);
  }
  for (auto& [key, group] : groups) description.groups.push_back(std::move(group));
  for (const auto& [name, entry] : files.base_copies)
    description.base_copies.push_back(fmt::format("{} {}", name, shape_string(entry->shape)));
  return description;
}

std::string text_of(const CheckpointDescription& d) {
  const DecoderConfig& decoder = d.config.decoder;
  Facts facts("checkpoint");
  facts.add("family", family_name(d.config.family));
  facts.add("parameters", with_commas(d.parameters()));
  for (const auto& part : d.parts)
    facts.add(fmt::format("  {}", part.name),
              fmt::format("{} in {}", with_commas(part.parameters), counted(part.tensors, "tensor")));
  facts.add("dtype", joined(d.parameters_by_dtype));
  facts.add("decoder",
            fmt::format("{} of {}, {} of {}, {}, MLP {}, vocabulary {}", counted(decoder.layers, "layer"),
                        decoder.hidden_size, counted(decoder.heads, "head"), decoder.head_dim,
                        counted(decoder.kv_heads, "K/V head"), decoder.intermediate_size, decoder.vocab_size));
  facts.add("positions", rope_line(decoder));
  if (d.config.vision) facts.add("vision", vision_line(d.config));
  const bool own_head =
      std::any_of(d.parts.begin(), d.parts.end(), [](const auto& part) { return part.name == "head"; });
  facts.add("head", d.untied_by_files             ? "of its own: config.json ties it, but its values are others"
                    : decoder.tie_word_embeddings ? "tied to the embeddings"
                    : own_head                    ? "of its own"
                                                  : "none");
  facts.add("naming", naming_name(d.naming));
  facts.add("weights", fmt::format("{} in {}", counted(static_cast<int64_t>(d.weight_bytes), "byte"),
                                   counted(std::ssize(d.weight_files), "file")));
  if (!d.weights_sha256.empty()) facts.add("weights sha256", d.weights_sha256);
  facts.add("also there", d.files_present.empty() ? "nothing" : fmt::format("{}", fmt::join(d.files_present, ", ")));
  if (!d.files_absent.empty()) facts.add("not there", fmt::format("{}", fmt::join(d.files_absent, ", ")));
  facts.add("decoder LoRA", fmt::format("{} parameters per unit of rank", with_commas(d.lora_parameters_per_rank)));
  if (!d.missing.empty()) facts.add("missing tensors", first_few(d.missing));
  if (!d.misshapen.empty()) facts.add("other shapes", first_few(d.misshapen));
  if (!d.surplus.empty()) facts.add("surplus tensors", first_few(d.surplus));
  for (const std::string& unused : d.unused) facts.add("not used", unused);
  return facts.text();
}

std::string text_of(const AdapterDescription& d) {
  Facts facts("PEFT adapter");
  facts.add("kind", d.rslora ? "LoRA, rank-stabilised: scale alpha / sqrt(r)" : "LoRA: scale alpha / r");
  facts.add("base model", d.base_model_name.empty() ? "not said" : quote_text(d.base_model_name));
  facts.add("trainable", fmt::format("{} parameters", with_commas(d.parameters())));
  facts.add("modules", fmt::format("{} in the decoder, {} in the vision tower{}", d.decoder_modules, d.vision_modules,
                                   d.head_modules > 0 ? ", the head" : ""));
  for (const auto& group : d.groups)
    facts.add(fmt::format("  {}", group.leaf),
              fmt::format("{} x r {}, alpha {}, scale {:.6g}: {} parameters", group.modules, group.rank, group.alpha,
                          group.scale, with_commas(group.parameters)));
  facts.add("dtype", joined(d.parameters_by_dtype));
  facts.add("naming", naming_name(d.naming));
  if (!d.base_copies.empty()) facts.add("of the base too", fmt::format("{}", fmt::join(d.base_copies, ", ")));
  facts.add("adapter sha256", d.sha256);
  return facts.text();
}

}  // namespace trireme
