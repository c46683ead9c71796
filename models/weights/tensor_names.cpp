#include "models/weights/tensor_names.h"

#include <array>

namespace trireme {
namespace {

struct Prefix {
  std::string_view spelled, canonical;
  TensorNaming naming;
};

/// The first that fits wins, so longer prefixes of the same start come first.
constexpr std::array<Prefix, 8> kPrefixes{{
    {"model.language_model.", "model.", TensorNaming::kNew},
    {"model.visual.", "visual.", TensorNaming::kNew},
    {"language_model.", "model.", TensorNaming::kBaseModel},
    {"layers.", "model.layers.", TensorNaming::kBaseModel},
    {"embed_tokens.", "model.embed_tokens.", TensorNaming::kBaseModel},
    {"norm.", "model.norm.", TensorNaming::kBaseModel},
    {"model.", "model.", TensorNaming::kOld},
    {"visual.", "visual.", TensorNaming::kOld},
}};

const Prefix* prefix_of(std::string_view name) {
  for (const Prefix& prefix : kPrefixes)
    if (name.starts_with(prefix.spelled)) return &prefix;
  return nullptr;
}

}  // namespace

std::string naming_name(TensorNaming naming) {
  switch (naming) {
    case TensorNaming::kOld:
      return "hub (model.layers, visual)";
    case TensorNaming::kNew:
      return "new (model.language_model.layers, model.visual)";
    case TensorNaming::kBaseModel:
      return "base model (language_model.layers or layers, visual)";
  }
  return {};
}

std::string canonical_name(std::string_view name) {
  const Prefix* prefix = prefix_of(name);
  if (prefix == nullptr) return std::string(name);
  return std::string(prefix->canonical).append(name.substr(prefix->spelled.size()));
}

TensorNaming naming_of(std::string_view name) {
  const Prefix* prefix = prefix_of(name);
  return prefix == nullptr ? TensorNaming::kOld : prefix->naming;
}

ModelPart part_of(std::string_view canonical) {
  if (canonical.starts_with("model.embed_tokens.")) return ModelPart::kEmbeddings;
  if (canonical == "lm_head" || canonical.starts_with("lm_head.")) return ModelPart::kHead;
  if (canonical.starts_with("visual.merger.")) return ModelPart::kMerger;
  return canonical.starts_with("visual.") ? ModelPart::kVisionTower : ModelPart::kDecoder;
}

std::string spelled(std::string_view canonical, TensorNaming naming, bool text_only) {
  constexpr std::string_view kDecoder = "model.";
  const bool decoder = canonical.starts_with(kDecoder), vision = sees_pictures(part_of(canonical));
  if (naming == TensorNaming::kOld || (!decoder && !vision) || (naming == TensorNaming::kNew && text_only))
    return std::string(canonical);
  if (vision) return (naming == TensorNaming::kNew ? "model." : "") + std::string(canonical);
  const std::string_view rest = canonical.substr(kDecoder.size());
  if (naming == TensorNaming::kNew) return std::string("model.language_model.").append(rest);
  return std::string(text_only ? "" : "language_model.").append(rest);
}

}  // namespace trireme
