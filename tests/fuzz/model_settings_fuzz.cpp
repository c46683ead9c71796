#include <gtest/gtest.h>

#include "core/io/file.h"
#include "models/model_config.h"
#include "models/weights/peft_config.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

std::string golden(const char* name) {
  return read_text_file(std::filesystem::path(TRIREME_TEST_DIR) / "golden" / "checkpoints" / name);
}

TEST(ModelConfigFuzz, SurvivesMutatedConfigs) {
  const fuzz::Corpus corpus{
      {golden("qwen2_vl_hub/config.json"), golden("qwen2_vl_new/config.json"), golden("qwen2_5_vl_hub/config.json"),
       golden("qwen2_5_vl_base/config.json"), golden("qwen2_hub/config.json")},
      {"null", "true", "[]", "{}", "-1", "0", "1e308", "9223372036854775807", "18446744073709551616", "\"4.45.0\"",
       "\"text_config\": {", "\"mrope_section\": [1, 1]", "\"head_dim\": 3,", "\"transformers_version\": \"4.\",",
       "\"rope_scaling\": {\"type\": \"yarn\"},", "\"quantization_config\": {},", "[[[[[[[[", "{\"a\":{\"a\":{\"a\":"}};
  const test::TempFolder folder;
  fuzz::survives_mutation("model_config", corpus, [&](const std::string& input) {
    folder.write("config.json", input);
    read_model_config(folder.path());
  });
}

TEST(PeftConfigFuzz, SurvivesMutatedConfigsAndTheirPatterns) {
  const fuzz::Corpus corpus{
      {golden("adapters/qwen2_vl_legacy/adapter_config.json"), golden("adapters/qwen2_rslora/adapter_config.json")},
      {"null", "true", "[]", "{}", "-1", "(a+)+$", "(?<=", "\\\\C", "(?R)", "[^", "{1,65535}", "\\\\1", "(?P<idx>",
       "*+", "\"layers_to_transform\": [0],", "\"layers_pattern\": \"(layers\",",
       "\"target_modules\": \"all-linear\","}};
  const test::TempFolder folder;
  fuzz::survives_mutation("peft_config", corpus, [&](const std::string& input) {
    const PeftConfig config = read_peft_config(folder.write("adapter_config.json", input));
    for (const char* path : {"model.layers.1.self_attn.q_proj", "visual.blocks.0.attn.qkv", "lm_head"}) {
      config.rank_of(path);
      config.alpha_of(path);
      config.selects(path, false);
    }
  });
}

}  // namespace
}  // namespace trireme
