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

#include "core/config/base_fields.h"
#include "data/image/augment.h"
#include "data/loader/input_config.h"
#include "data/loader/sampler_config.h"
#include "data/prompt/embedding_prompt.h"
#include "data/sources/records.h"
#include "data/sources/source_config.h"

namespace trireme {

class FieldList;

/// [data] What is trained on, and how it becomes batches.
struct DataConfig : InputConfig {
  std::filesystem::path root;
  std::optional<std::filesystem::path> image_root;
  bool follow_links = false;
  std::vector<SourceConfig> sources;
  SamplerConfig sampler;
  PromptForm prompt = PromptForm::kLamra;
  std::optional<int64_t> text_tokens = 480;
  AugmentConfig augment;
  int64_t hard_negatives = 0;
  OnDataError on_error = OnDataError::kStop;
  int64_t loader_threads = 2;
  int64_t queued_steps = 3;
  int64_t picture_cache_mib = 0;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};
template <>
consteval int64_t field_count<DataConfig>() {
  return own_and_base_fields<DataConfig, InputConfig>();
}

}  // namespace trireme
