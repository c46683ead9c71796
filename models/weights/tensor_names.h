#pragma once

#include <string>
#include <string_view>

#include "models/model_config.h"

namespace trireme {

/// Three spellings of the same weights. Canonical, everywhere in Trireme, is the hub's own (kOld), for every family:
///   model.embed_tokens.weight   model.layers.N.self_attn.q_proj.weight   model.norm.weight   lm_head.weight
///   visual.patch_embed.proj.weight   visual.blocks.N.attn.qkv.weight   visual.merger.mlp.0.weight
/// A module path is a tensor name without its last part: model.layers.0.self_attn.q_proj, visual.blocks.0.attn.qkv.
enum class TensorNaming {
  kOld,       ///< model.layers.., visual..: hub files, transformers < 4.52; the only one with a head for text models
  kNew,       ///< model.language_model.layers.., model.visual..: classes with a head since transformers 4.52
  kBaseModel  ///< language_model.layers.., visual..: saved from Qwen2VLModel; text models: layers.. (Qwen2Model)
};

std::string naming_name(TensorNaming naming);  ///< "hub (model.layers, visual)", ..: for `inspect` and messages

/// `name` (of a tensor or a module) in canonical spelling, whichever of the three it uses; unknown names come back as
/// is.
std::string canonical_name(std::string_view name);
/// The naming whose decoder prefix `name` has; kOld for names that do not tell (visual.., lm_head..).
TensorNaming naming_of(std::string_view name);
/// What of a model a canonical name (of a tensor or a module) is in: for files without a configuration beside them.
ModelPart part_of(std::string_view canonical);
/// The inverse of canonical_name() for a vision-language model, and for a text-only model when `text_only`.
std::string spelled(std::string_view canonical, TensorNaming naming, bool text_only);

}  // namespace trireme
