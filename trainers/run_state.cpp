#include "trainers/run_state.h"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/distributed/agreement.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/mapping_fault.h"
#include "core/json.h"
#include "trainers/run/trainable_file.h"

namespace trireme {
namespace {

void broadcast_in_place(torch::Tensor tensor, Communicator& communicator) {
  torch::Tensor contiguous = tensor.contiguous();
  communicator.broadcast(contiguous, 0).wait();
  if (!contiguous.is_same(tensor)) tensor.copy_(contiguous);
}

void copy_weights(const Checkpoint& checkpoint, const NamedTensors& leaves, const std::filesystem::path& folder) {
  std::map<std::string, torch::Tensor> saved(checkpoint.weights.begin(), checkpoint.weights.end());
  TRIREME_CHECK(saved.size() == leaves.size(), DataError, (folder / checkpoint_name(checkpoint.step)).string(),
                "the checkpoint must hold the run's {} trainable tensors; got {}; start a new run directory.",
                leaves.size(), saved.size());
  const at::NoGradGuard no_grad;
  for (const auto& [name, leaf] : leaves) {
    const auto found = saved.find(name);
    TRIREME_CHECK(found != saved.end() && found->second.sizes() == leaf.sizes() &&
                      found->second.scalar_type() == leaf.scalar_type(),
                  DataError, (folder / checkpoint_name(checkpoint.step)).string(),
                  "the checkpoint must hold {} in its shape and dtype; got {}; start a new run directory.", name,
                  found == saved.end() ? "nothing" : "another");
    torch::Tensor(leaf).copy_(found->second);
  }
}

}  // namespace

std::vector<torch::Tensor> values_of(const NamedTensors& tensors) {
  std::vector<torch::Tensor> values;
  for (const auto& [name, tensor] : tensors) values.push_back(tensor);
  return values;
}

Counters merged(std::initializer_list<Counters> parts) {
  Counters all;
  for (const Counters& part : parts) all.insert(part.begin(), part.end());
  return all;
}

RunState::RunState(const std::filesystem::path& folder, const RunIdentity& identity, const ResumeConfig& resume,
                   const CheckpointConfig& checkpoint, Communicator& communicator, Log& log)
    : folder_(folder), communicator_(communicator), log_(log) {
  if (communicator.rank() != 0) return;
  directory_ = std::make_unique<RunDirectory>(folder, identity, resume, log);
  writer_ = std::make_unique<CheckpointWriter>(directory_->checkpoints(), checkpoint);
}

RunState::~RunState() = default;

void RunState::write_trainable(const std::vector<TensorStatus>& tensors) {
  if (directory_) write_trainable_file(folder_ / "trainable.json", tensors);
}

RunState::Position RunState::restore(const NamedTensors& leaves, Optimizer& optimizer) {
  std::optional<Checkpoint> checkpoint;
  if (directory_) checkpoint = directory_->take_checkpoint();
  nlohmann::json position;
  if (checkpoint) {
    copy_weights(*checkpoint, leaves, directory_->checkpoints());
    optimizer.load_state(checkpoint->optimizer);
    position = {{"step", checkpoint->step}, {"counters", checkpoint->counters}};
  }
  position = parse_json(broadcast_string(communicator_, dump_json(position), 0));
  if (position.is_null()) return {};
  for (const auto& [name, leaf] : leaves) broadcast_in_place(leaf.detach(), communicator_);
  NamedTensors state;
  for (const auto& [name, tensor] : optimizer.state()) state.emplace_back(name, tensor.clone());
  for (const auto& [name, tensor] : state) broadcast_in_place(tensor, communicator_);
  optimizer.load_state(state);
  last_checkpoint_ = position.at("step").get<int64_t>();
  log_.info("going on from step {} in {}", *last_checkpoint_, folder_.string());
  return {*last_checkpoint_, position.at("counters").get<Counters>()};
}

void RunState::write(const StepRecord& record) {
  if (!directory_) return;
  writer_->check();
  directory_->write(record);
}

void RunState::checkpoint(int64_t step, const NamedTensors& leaves, const Optimizer& optimizer, Counters counters,
                          std::vector<int64_t> pinned_steps) {
  last_checkpoint_ = step;
  if (!directory_) return;
  Checkpoint checkpoint = directory_->begin_checkpoint(step);
  for (const auto& [name, leaf] : leaves) checkpoint.weights.emplace_back(name, leaf.detach());
  checkpoint.optimizer = optimizer.state();
  checkpoint.counters = std::move(counters);
  checkpoint.pinned_steps = std::move(pinned_steps);
  writer_->write(std::move(checkpoint));
}

void RunState::write_file(std::string_view name, const std::string& text) {
  if (!directory_) return;
  write_text_file(folder_ / name, text);
}

void RunState::finish() {
  if (writer_) writer_->wait();
}

LastCheckpoint::LastCheckpoint(RunState& run, const NamedTensors& leaves, Log& log,
                               std::function<void(int64_t steps)> write)
    : run_(run),
      leaves_(leaves),
      log_(log),
      write_(std::move(write)),
      exceptions_at_birth_(std::uncaught_exceptions()) {}

void LastCheckpoint::begin_update() {
  require_mappings_whole();
  steps_.reset();
}

LastCheckpoint::~LastCheckpoint() {
  if (std::uncaught_exceptions() == exceptions_at_birth_ || !steps_ || *steps_ == run_.last_checkpoint()) return;
  const bool mapped = std::ranges::any_of(leaves_, [](const auto& leaf) {
    return leaf.second.is_cpu() && is_in_mapped_file(leaf.second.const_data_ptr());
  });
  if (mapped && mapping_fault()) return;
  try {
    const AfterMappingFault weights_are_whole;
    write_(*steps_);
    run_.finish();
    log_.info("the {} steps done are kept in a checkpoint", *steps_);
  } catch (const std::exception&) {
    // As when the disk is full: the error on its way tells why the run ends.
  }
}

}  // namespace trireme
