#include "data/loader/data_config.h"

#include "core/config/field_list.h"

namespace trireme {

void DataConfig::describe(FieldList& v) {
  v.field("root", root, "Folder that the sources' files are relative to.").required().no_effect_on_values();
  v.field("image_root", image_root, "Folder that image paths are relative to; default: root.").no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of that folder.")
      .no_effect_on_values();
  v.field("sources", sources, "What is trained on.").required();
  v.field("sampler", sampler, "How global batches are drawn.");
  v.field("prompt", prompt, "What stands around text and picture.");
  v.field("system_prompt", system_prompt, "System turn of the chat frame; the bare prompt has none.");
  v.field("text_tokens", text_tokens, "A record's text is cut after so many tokens, the prompt never; null: not cut.")
      .at_least(1);
  v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA's Qwen2-VL checkpoints were trained.");
  describe_pixel_limits(v);
  describe_alpha(v);
  v.field("augment", augment, "Random changes of the pictures.");
  v.field("hard_negatives", hard_negatives, "Hard negatives of each query.").at_least(0);
  v.field("on_error", on_error, "What happens when a record cannot be read.");
  v.field("loader_threads", loader_threads, "Threads that decode, tokenise and pack.")
      .between(1, 256)
      .no_effect_on_values();
  v.field("queued_steps", queued_steps, "Steps that are loaded ahead, at most.").between(1, 64).no_effect_on_values();
  v.field("picture_cache_mib", picture_cache_mib, "Decoded pictures kept in memory, at most; the first to come stay.")
      .between(0, 1 << 20)
      .no_effect_on_values();
}
static_assert(field_count<DataConfig>() == 18, "describe() must list every field");

void DataConfig::check(Problems& problems) const {
  const auto weighted = std::count_if(sources.begin(), sources.end(), [](const auto& s) { return s.weight; });
  if (weighted != 0 && weighted != std::ssize(sources))
    problems.add("sources", fmt::format("must have a weight each, or none; got {} weights for {} sources; add or "
                                        "remove weights",
                                        weighted, sources.size()));
  const bool views =
      std::any_of(sources.begin(), sources.end(), [](const SourceConfig& s) { return s.kind == SourceKind::kViews; });
  if (views && augment.is_off())
    problems.add("augment", "must be on with a source of views; got zeros; both sides would be the same picture");
  if (views && hard_negatives > 0)
    problems.add("hard_negatives",
                 fmt::format("must be 0 with a source of views; got {}; set it to 0", hard_negatives));
  if (min_pixels && max_pixels && *min_pixels > *max_pixels)
    problems.add("min_pixels",
                 fmt::format("must be at most max_pixels; got {} and {}; lower it", *min_pixels, *max_pixels));
}

}  // namespace trireme
