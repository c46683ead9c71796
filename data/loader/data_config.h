#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/field_count.h"
#include "data/image/augment.h"
#include "data/image/image.h"
#include "data/loader/packer.h"
#include "data/loader/sampler_config.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/source_config.h"

namespace trireme {

enum class OnDataError {
  kStop,  ///< a record that cannot be read ends the run, with its id
  kSkip,  ///< its pair is replaced by another one of the same group, counted and listed
};
constexpr auto choice_names(OnDataError) {
  return std::to_array<std::pair<OnDataError, std::string_view>>(
      {{OnDataError::kStop, "stop"}, {OnDataError::kSkip, "skip"}});
}

/// [data] What is trained on, and how it becomes batches.
struct DataConfig {
  std::filesystem::path root;
  std::optional<std::filesystem::path> image_root;
  std::vector<SourceConfig> sources;
  SamplerConfig sampler;
  PromptForm prompt = PromptForm::kLamra;
  std::string system_prompt = std::string(kQwenSystemPrompt);
  std::optional<int64_t> text_tokens = 480;
  RopeMode rope_mode = RopeMode::kMrope;
  std::optional<int64_t> min_pixels, max_pixels;
  AlphaMode alpha = AlphaMode::kWhite;
  AugmentConfig augment;
  int64_t hard_negatives = 0;
  OnDataError on_error = OnDataError::kStop;
  int64_t loader_threads = 2;
  int64_t queued_steps = 3;
  int64_t picture_cache_mib = 0;

  template <class V>
  void describe(V& v) {
    v.field("root", root, "Folder that the sources' files are relative to.").required().no_effect_on_values();
    v.field("image_root", image_root, "Folder that image paths are relative to; default: root.").no_effect_on_values();
    v.field("sources", sources, "What is trained on.").required();
    v.field("sampler", sampler, "How global batches are drawn.");
    v.field("prompt", prompt, "What stands around text and picture.");
    v.field("system_prompt", system_prompt, "System turn of the chat frame; the bare prompt has none.");
    v.field("text_tokens", text_tokens, "A record's text is cut after so many tokens, the prompt never; null: not cut.")
        .at_least(1);
    v.field("rope_mode", rope_mode, "Positions: three axes, or one as LamRA's Qwen2-VL checkpoints were trained.");
    v.field("min_pixels", min_pixels, "Smaller pictures are enlarged to it; default: the checkpoint's.").positive();
    v.field("max_pixels", max_pixels, "Larger pictures are shrunk to it; default: the checkpoint's.").positive();
    v.field("alpha", alpha, "Transparent pictures: composited on white, or colour values with the alpha forgotten.");
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
  void check(Problems& problems) const {
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
};
static_assert(field_count<DataConfig>() == 17, "describe() must list every field");

}  // namespace trireme
