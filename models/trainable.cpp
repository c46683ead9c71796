#include "models/trainable.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "core/config/field_list.h"
#include "core/error.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "models/weights/path_pattern.h"

namespace trireme {

void TrainableConfig::describe(FieldList& v) {
  v.field("parts", parts, "all: every tensor; lora: the LoRA matrices; named: those that `names` matches.");
  v.field("names", names,
          "With named: regular expressions for whole tensor names or their end after a dot: lora_[AB]\\.weight; "
          "visual\\.merger\\..*");
}
static_assert(field_count<TrainableConfig>() == 2, "describe() must list every field");

void TrainableConfig::check(Problems& problems) const {
  if ((parts == TrainableParts::kNamed) == names.empty()) {
    problems.add("names", fmt::format("must be given with parts: named, and only then; got {} of them; correct one",
                                      names.size()));
  }
}
namespace {

std::vector<bool> named_tensors(const std::vector<Parameter>& parameters, const std::vector<std::string>& entries) {
  std::vector<bool> named(parameters.size());
  for (const std::string& entry : entries) {
    const PathPattern pattern = PathPattern::of_path_end(entry, "trainable", "names");
    bool any = false;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (!pattern.matches(parameters[i].name)) continue;
      named[i] = any = true;
    }
    TRIREME_CHECK(any, ConfigError, "trainable",
                  "every entry of names must match a tensor; got {}, which matches none of {} ({}, ..); correct it.",
                  quote_text(entry), parameters.size(), parameters.front().name);
  }
  return named;
}

/// What the config asks of each tensor. One storage has one answer.
std::vector<bool> wanted(const std::vector<Parameter>& parameters, const TrainableConfig& config) {
  std::vector<bool> train(parameters.size(), config.parts == TrainableParts::kAll);
  if (config.parts == TrainableParts::kLora) {
    std::transform(parameters.begin(), parameters.end(), train.begin(),
                   [](const Parameter& parameter) { return parameter.kind == TensorKind::kLora; });
    TRIREME_CHECK(std::find(train.begin(), train.end(), true) != train.end(), ConfigError, "trainable",
                  "parts: lora needs LoRA in the model; got none; give model.adapter or a lora section.");
  }
  if (config.parts == TrainableParts::kNamed) train = named_tensors(parameters, config.names);
  std::map<const torch::Tensor*, std::size_t> first_of;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::size_t first = first_of.emplace(parameters[i].storage, i).first->second;
    TRIREME_CHECK(train[i] == train[first], ConfigError, "trainable",
                  "layers that read the same input are held as one and train together; got {} without {}; name both.",
                  parameters[train[i] ? i : first].name, parameters[train[i] ? first : i].name);
  }
  return train;
}

/// The part of the name that all share at its ends, and each one's middle in braces.
std::string joined_name(const std::vector<std::string>& names) {
  const std::string& first = names.front();
  if (names.size() == 1) return first;
  std::size_t head = first.size(), tail = first.size();
  for (const std::string& name : names) {
    head =
        std::min(head, static_cast<std::size_t>(
                           std::mismatch(first.begin(), first.end(), name.begin(), name.end()).first - first.begin()));
    tail = std::min(
        tail, static_cast<std::size_t>(std::mismatch(first.rbegin(), first.rend(), name.rbegin(), name.rend()).first -
                                       first.rbegin()));
  }
  head = first.rfind('.', head == 0 ? 0 : head - 1) + 1;  // whole words
  tail = first.size() - first.find('.', first.size() - tail);
  std::vector<std::string> middles;
  for (const std::string& name : names) middles.push_back(name.substr(head, name.size() - head - tail));
  return fmt::format("{}{{{}}}{}", first.substr(0, head), fmt::join(middles, ","), first.substr(first.size() - tail));
}

}  // namespace

void set_trainable(const ModelTensors& model, const TrainableConfig& config) {
  const auto parameters = named_parameters(model);
  const auto train = wanted(parameters, config);
  for (std::size_t i = 0; i < parameters.size(); ++i) parameters[i].storage->set_requires_grad(train[i]);
}

std::vector<TensorStatus> tensor_statuses(const ModelTensors& model) {
  std::vector<TensorStatus> statuses;
  for (const Parameter& parameter : named_parameters(model)) {
    TensorStatus status;
    status.name = parameter.name;
    status.shape = parameter.value.sizes().vec();
    status.dtype = dtype_name(parameter.value.scalar_type());
    status.trainable = parameter.storage->requires_grad();
    if (parameter.kind == TensorKind::kLora)
      status.lora_target = parameter.name.substr(0, parameter.name.rfind(".lora_"));
    statuses.push_back(std::move(status));
  }
  return statuses;
}

void require_trainable(const ModelTensors& model, const TrainableConfig& config) {
  constexpr std::size_t kShownNames = 3;
  const auto parameters = named_parameters(model);
  const auto train = wanted(parameters, config);
  std::vector<std::string> wrong;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].storage->requires_grad() == train[i]) continue;
    wrong.push_back(
        fmt::format("{} ({})", parameters[i].name, train[i] ? "frozen, should train" : "trains, should not"));
  }
  if (wrong.empty()) return;
  const std::size_t count = wrong.size();
  wrong.resize(std::min(count, kShownNames));
  throw ConfigError("trainable",
                    fmt::format("every tensor's status must be what the config says; got {} others: {}{}; set it with "
                                "trainable.parts, and attach LoRA before.",
                                count, fmt::join(wrong, ", "), count > kShownNames ? ", .." : ""));
}

std::vector<TrainableTensor> trainable_tensors(const ModelTensors& model) {
  std::vector<TrainableTensor> leaves;
  std::unordered_map<const torch::Tensor*, std::size_t> index_of;
  for (const Parameter& parameter : named_parameters(model)) {
    if (!parameter.storage->requires_grad()) continue;
    const auto [found, inserted] = index_of.emplace(parameter.storage, leaves.size());
    if (inserted) leaves.push_back({"", *parameter.storage, {}});
    leaves[found->second].parts.push_back(parameter.name);
  }
  for (TrainableTensor& leaf : leaves) leaf.name = joined_name(leaf.parts);
  return leaves;
}

bool vision_trains(const ModelTensors& model) {
  return std::ranges::any_of(model.slots, [](const TensorSlot& slot) {
    return sees_pictures(slot.part) && slot.tensor->defined() && slot.tensor->requires_grad();
  });
}

}  // namespace trireme
