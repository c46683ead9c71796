#include "core/checkpoint/checkpoint_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <ATen/ops/empty.h>
#include <c10/core/GradMode.h>

#include "core/checkpoint/checkpoint_folder.h"
#include "core/config/field_list.h"
#include "core/io/descriptor.h"

namespace trireme {

void CheckpointConfig::describe(FieldList& v) {
  v.field("every_steps", every_steps, "Steps between checkpoints; one more is written at the end of the run.")
      .positive()
      .no_effect_on_values();
  v.field("keep_last", keep_last, "How many of the newest checkpoints stay.").at_least(1).no_effect_on_values();
  v.field("keep_every", keep_every, "Checkpoints of steps that are multiples of this stay too; null = none.")
      .positive()
      .no_effect_on_values();
}
static_assert(field_count<CheckpointConfig>() == 3, "describe() must list every field");
namespace {

/// Copies `tensors` into `buffers`, which are made anew only where they do not fit: a first touch of memory costs more
/// than the copy.
void copy_to_host(const NamedTensors& tensors, NamedTensors& buffers) {
  const c10::NoGradGuard no_grad;
  buffers.resize(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, source] = tensors[i];
    auto& [buffer_name, buffer] = buffers[i];
    buffer_name = name;
    if (!buffer.defined() || buffer.sizes() != source.sizes() || buffer.scalar_type() != source.scalar_type()) {
      buffer = at::empty(source.sizes(), source.scalar_type());
    }
    buffer.copy_(source);
  }
}

void remove_surplus(const std::filesystem::path& folder, const CheckpointConfig& config,
                    const Checkpoint& just_written) {
  std::vector<int64_t> steps = steps_in(folder);
  // Newer ones are damaged, or the run would have gone on from them; it will write them again.
  std::erase_if(steps, [&](int64_t step) { return step > just_written.step; });
  const auto last = std::min<int64_t>(config.keep_last, std::ssize(steps));
  steps.resize(steps.size() - static_cast<std::size_t>(last));
  for (const int64_t step : steps) {
    const bool milestone = config.keep_every && step % *config.keep_every == 0;
    const bool pinned = std::ranges::find(just_written.pinned_steps, step) != just_written.pinned_steps.end();
    if (!milestone && !pinned) remove_checkpoint(folder / checkpoint_name(step));
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(std::filesystem::path folder, const CheckpointConfig& config)
    : folder_(std::move(folder)), config_(config) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw_write_failure(folder_, error.value());
  remove_leftovers(folder_);
}

CheckpointWriter::~CheckpointWriter() = default;  // the future's destructor waits

void CheckpointWriter::write(Checkpoint checkpoint) {
  wait();
  copy_to_host(checkpoint.weights, host_weights_);
  copy_to_host(checkpoint.optimizer, host_optimizer_);
  checkpoint.weights = host_weights_;
  checkpoint.optimizer = host_optimizer_;
  pending_ = std::async(std::launch::async, [this, checkpoint = std::move(checkpoint)] {
    write_checkpoint(folder_, checkpoint);
    remove_surplus(folder_, config_, checkpoint);
  });
}

void CheckpointWriter::check() {
  if (pending_.valid() && pending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) pending_.get();
}

void CheckpointWriter::wait() {
  if (pending_.valid()) pending_.get();
}

}  // namespace trireme
