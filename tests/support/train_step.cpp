// Training steps on one packed batch, for tests/peer/train_parity.py and for timing: embeddings, InfoNCE from the first
// half of the sequences (queries) to the second (candidates), backward, AdamW.
//   train_step MODEL ADAPTER BATCH.safetensors OUT.safetensors [steps=1] [lr=1e-3] [temperature=0.05] [dtype=float32]
//     [trainable=lora] [rank=16] [dropout=0] [recompute=0] [threads=1]
// ADAPTER: a PEFT folder; "-": fresh LoRA of `rank` on the decoder's linears. BATCH: the tensors of PackedBatch by
// name. OUT: loss [steps]; grad.NAME of step 0; weight.NAME after step 0; last.NAME after the last. Prints one JSON
// line.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "core/elapsed.h"
#include "core/error.h"
#include "core/io/safetensors.h"
#include "launch/cpu_settings.h"
#include "models/lmm.h"
#include "models/lora.h"
#include "models/trainable.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"
#include "trainers/optim/optimizer.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;
PackedBatch read_batch(const std::string& path) {
  const SafetensorsFile file(path);
  const auto get = [&](const char* name) {
    const SafetensorsEntry* entry = file.find(name);
    return entry == nullptr ? torch::Tensor() : file.tensor(*entry).clone();
  };
  PackedBatch batch;
  batch.tokens = get("tokens");
  batch.position_ids = get("position_ids");
  batch.cu_seqlens = get("cu_seqlens");
  batch.patches = get("patches");
  batch.grid = get("grid");
  batch.image_rows = get("image_rows");
  batch.rows = get("rows");
  return batch;
}

torch::Tensor info_nce(const torch::Tensor& rows, double temperature) {
  const int64_t pairs = rows.size(0) / 2;
  const auto scores = at::matmul(rows.narrow(0, 0, pairs), rows.narrow(0, pairs, pairs).t()) / temperature;
  return -at::log_softmax(scores, 1).diagonal().mean();
}

int run(const std::vector<std::string>& arguments) {
  std::map<std::string, std::string> options{{"steps", "1"},        {"lr", "1e-3"},     {"temperature", "0.05"},
                                             {"dtype", "float32"},  {"rank", "16"},     {"dropout", "0"},
                                             {"trainable", "lora"}, {"recompute", "0"}, {"threads", "1"}};
  for (std::size_t i = 4; i < arguments.size(); ++i) {
    const std::size_t equals = arguments[i].find('=');
    options.at(arguments[i].substr(0, equals)) = arguments[i].substr(equals + 1);
  }
  at::set_num_threads(std::stoi(options["threads"]));
  HubCheckpoint checkpoint(arguments[0]);
  Lmm model = load_model(checkpoint, {.dtype = options["dtype"] == "bfloat16" ? torch::kBFloat16 : torch::kFloat32});
  const double dropout = std::stod(options["dropout"]);
  const bool all = options["trainable"] == "all";
  if (arguments[1] != "-") {
    attach_adapter(model, read_adapter(arguments[1], model.config));
    set_lora_dropout(model, dropout);
  } else if (!all) {
    LoraConfig lora;
    lora.rank = std::stoll(options["rank"]);
    lora.alpha = 2.0 * static_cast<double>(lora.rank);
    lora.dropout = dropout;
    attach_lora(model, lora, 0);
  }
  set_trainable(model, {all ? TrainableParts::kAll : TrainableParts::kLora, {}});
  const PackedBatch batch = read_batch(arguments[2]);
  const int64_t sequences = batch.cu_seqlens.size(0) - 1;

  NamedTensors leaves;
  std::vector<torch::Tensor> gradients;
  for (const TrainableTensor& leaf : trainable_tensors(model)) {
    leaves.emplace_back(leaf.name, leaf.tensor);
    leaf.tensor.mutable_grad() = at::zeros_like(leaf.tensor);
    gradients.push_back(leaf.tensor.grad());
  }
  OptimConfig optim;
  optim.clip_norm.reset();
  Optimizer optimizer(optim, leaves);
  NamedTensors out;
  const auto record = [&](const std::string& prefix, bool of_gradients) {
    for (const auto& [name, leaf] : leaves)
      out.emplace_back(prefix + name, (of_gradients ? leaf.grad() : leaf.detach()).clone());
  };
  std::vector<double> losses, step_s, forward_s, backward_s;
  for (int64_t step = 0; step < std::stoll(options["steps"]); ++step) {
    ForwardOptions forward{.features = {}, .dropout = {}, .recompute_blocks = options["recompute"] == "1"};
    if (dropout > 0) forward.dropout = DropoutContext{0, step, at::arange(sequences, at::TensorOptions(torch::kInt64))};
    for (auto& gradient : gradients) gradient.zero_();
    const auto begin = Clock::now();
    const auto loss = info_nce(embed(model, batch, forward), std::stod(options["temperature"]));
    forward_s.push_back(seconds_since(begin));
    loss.backward();
    backward_s.push_back(seconds_since(begin) - forward_s.back());
    losses.push_back(loss.item<double>());
    if (step == 0) record("grad.", true);
    const torch::NoGradGuard no_gradient;
    optimizer.step(std::stod(options["lr"]), gradient_norm(gradients, std::nullopt));
    step_s.push_back(seconds_since(begin));
    if (step == 0) record("weight.", false);
  }
  record("last.", false);
  out.emplace_back("loss", at::tensor(losses, at::TensorOptions(torch::kFloat64)));
  write_safetensors(arguments[3], out);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto best = [](const std::vector<double>& times) { return *std::min_element(times.begin(), times.end()); };
  std::cout << nlohmann::ordered_json{{"step_s", best(step_s)},         {"forward_s", best(forward_s)},
                                      {"backward_s", best(backward_s)}, {"tokens", batch.tokens.size(0)},
                                      {"sequences", sequences},         {"peak_mib", usage.ru_maxrss / 1024},
                                      {"loss", losses.back()},          {"steps_s", step_s}}
            << std::endl;
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
