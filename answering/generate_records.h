#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "answering/record_model.h"
#include "core/distributed/communicator.h"
#include "models/generation/sampling.h"

namespace trireme {

class FieldList;

/// What `trireme generate` continues, and where to.
struct GenerateRecordsOptions {
  std::filesystem::path records, out;
  std::optional<std::filesystem::path> image_root;
  bool follow_links = false;
  int64_t max_new_tokens = 128;
  int64_t seed = 0;
  bool keep_special_tokens = false;

  void describe(FieldList& v);
};

/// This rank's share of the work. Seconds on the wall clock.
struct GenerateCounts {
  int64_t records_global = 0;
  int64_t records = 0, prompt_tokens = 0, new_tokens = 0;
  double generate_s = 0;
  std::vector<std::string> unused = {};  ///< of checkpoint and adapter, with the reason
};

/// Continues every record with a Qwen2, Qwen2-VL or Qwen2.5-VL checkpoint and writes
///   {"id", "text", "finish": "stop" | "length", "tokens": [ids], "log_probability": of all tokens, nats}
/// lines in the file's order, whatever the number of ranks. A record's text depends on the record, its line, the
/// weights and the seed. It ends at one of generation_config.json's eos_token_id (config.json's where that has none,
/// else <|im_end|>), which is a token of the answer but not of "text", special or not. Other special tokens of the
/// answer are in "text" only under keep_special_tokens. temperature 0 takes the likeliest token.
/// Everything about the inputs is checked before weights are read. collective: every rank enters.
/// throws what its parts throw; on any throw no output file is left behind. Memory: the texts.
GenerateCounts generate_records(const RecordModelConfig& model, const GenerateRecordsOptions& options,
                                const SamplingConfig& sampling, Communicator& communicator, c10::Device device,
                                const std::function<void(int64_t done, int64_t of)>& progress);

}  // namespace trireme
