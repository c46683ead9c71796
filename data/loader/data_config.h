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

#include "data/image/augment.h"
#include "data/image/image.h"
#include "data/loader/packer.h"
#include "data/loader/sampler_config.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/records.h"
#include "data/sources/source_config.h"

namespace trireme {

class FieldList;

/// [data] What is trained on, and how it becomes batches.
struct DataConfig {
  std::filesystem::path root;
  std::optional<std::filesystem::path> image_root;
  bool follow_links = false;
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

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

}  // namespace trireme
