// One step of LamRA-Rank without dropout, for tests/peer/rank_parity.py: prompts, labels, loss and gradients as
// `trireme train` makes them.
//   rank_step MODEL ADAPTER REQUESTS.json IMAGE_ROOT OUT.safetensors [micro_batch_tokens=8192] [spacing=master]
//     [text_tokens=256] [rope_mode=mrope]
// REQUESTS: [{"query": ITEM, "target": ITEM, "negative": ITEM, "listed": [ITEM, ..], "gold_number": 2}, ..], an ITEM
// being {"id": "d1", "text": "a", "image": "a.png"}. OUT: loss; grad.NAME of each LoRA matrix; tokens, rows, label.
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/config/choice.h"
#include "core/distributed/self.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "launch/cpu_settings.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "trainers/rerank_step.h"
#include "trainers/run_state.h"
#include "trainers/trained_lmm.h"

namespace trireme {
namespace {

Record record_of(const nlohmann::json& item) { return {item["id"], item["text"], item["image"]}; }

RerankRecords records_of(const nlohmann::json& request) {
  RerankRecords records;
  records.query = record_of(request["query"]);
  records.target = record_of(request["target"]);
  records.negative = record_of(request["negative"]);
  for (const auto& item : request["listed"]) records.listed.push_back(record_of(item));
  records.target_number = request["gold_number"];
  records.where = "request";
  return records;
}

int run(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> options{
      {"micro_batch_tokens", "8192"}, {"spacing", "master"}, {"text_tokens", "256"}, {"rope_mode", "mrope"}};
  for (std::size_t i = 5; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    options.at(arguments[i].substr(0, equals)) = arguments[i].substr(equals + 1);
  }
  at::set_num_threads(1);
  HubCheckpoint checkpoint(arguments[0]);
  Lmm model = load_model(checkpoint, {.head = true});
  attach_adapter(model, read_adapter(arguments[1], model.config));
  set_lora_dropout(model, 0);
  set_trainable(model, {TrainableParts::kLora, {}});
  const Tokenizer tokenizer = Tokenizer::from_file(arguments[0] + "/tokenizer.json");
  ModelInput input{tokenizer, model.config.image_token_id, std::nullopt};
  if (model.vision) input.image_processor = read_image_processor_config(arguments[0]);

  DataConfig data;
  data.root = arguments[3];
  data.text_tokens = std::stoll(options["text_tokens"]);
  data.rope_mode = options["rope_mode"] == "oned" ? RopeMode::kOned : RopeMode::kMrope;
  const RerankSpacing spacing = options["spacing"] == "master" ? RerankSpacing::kMaster : RerankSpacing::kSingleSpace;
  const RerankEncoder encoder(data, spacing, input, 0);
  std::vector<EncodedRerank> queries;
  std::vector<int64_t> global_rows;
  for (const auto& request : parse_json(read_text_file(arguments[2]))) {
    global_rows.push_back(std::ssize(queries));
    queries.push_back(encoder.encode(records_of(request), 0, global_rows.back()));
  }
  const RerankBatch batch = pack_rerank(queries, global_rows, encoder.pack_options(), !vision_trains(model));

  const NamedTensors leaves = trained_leaves(model);
  SelfCommunicator self;
  GradientReducer reducer(values_of(leaves), self);
  RerankStepConfig step;
  step.micro_batch_tokens = std::stoll(options["micro_batch_tokens"]);
  const RerankStepResult result = rerank_step({model, step, {}, 0}, batch, reducer, self);
  NamedTensors out = {{"loss", result.loss.loss.to(torch::kFloat64).reshape({1})},
                      {"tokens", batch.sequences.packed.tokens},
                      {"rows", batch.sequences.packed.rows},
                      {"label", batch.sequences.label}};
  for (const auto& [name, leaf] : leaves) out.emplace_back("grad." + name, leaf.grad().clone());
  write_safetensors(arguments[4], out);
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  try {
    return trireme::run({argv + 1, argv + argc});
  } catch (const trireme::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return error.exit_code();
  }
}
