#include "trainers/describe_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/config/config.h"
#include "core/error.h"
#include "core/facts.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "core/json.h"
#include "core/shape.h"
#include "models/weights/tensor_names.h"
#include "trainers/best_so_far.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

Json read_list(const fs::path& file) {
  Json list = try_parse_ordered_json(read_text_file(file));
  TRIREME_CHECK(list.is_array(), DataError, file.string(),
                "the file must hold a JSON list; got something else; take "
                "the run's own file.");
  return list;
}

/// A field of a record as text for a terminal; "?" without one.
std::string shown(const Json& record, const char* key) {
  const auto found = record.find(key);
  if (found == record.end()) return "?";
  return found->is_string() ? quote_text(found->get<std::string>()) : shown_json(found->dump());
}

std::string elements(const NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) count += tensor.numel();
  return with_commas(count);
}

std::string bytes(const NamedTensors& tensors) {
  int64_t count = 0;
  for (const auto& [name, tensor] : tensors) count += static_cast<int64_t>(tensor.nbytes());
  return counted(count, "byte");
}

bool ends_with(const NamedTensors& tensors, std::string_view ending) {
  return std::ranges::any_of(tensors, [&](const auto& entry) { return entry.first.ends_with(ending); });
}

/// Told by the names of its state.
std::string optimizer_line(const NamedTensors& state) {
  std::string line = ends_with(state, ".exp_avg_sq") ? "AdamW"
                     : ends_with(state, ".momentum") ? "SGD with momentum"
                                                     : "SGD";
  if (ends_with(state, ".master")) line += " with float32 master weights";
  const auto step = std::ranges::find_if(state, [](const auto& entry) { return entry.first == "step"; });
  if (step != state.end())
    line += fmt::format(" after {}", counted(static_cast<int64_t>(step->second.item<float>()), "update"));
  return fmt::format("{}: {}, {}", line, counted(std::ssize(state), "tensor"), bytes(state));
}

std::string weights_line(const NamedTensors& weights) {
  const auto lora =
      std::ranges::count_if(weights, [](const auto& entry) { return entry.first.ends_with(".lora_A.weight"); });
  const auto vision =
      std::ranges::count_if(weights, [](const auto& entry) { return sees_pictures(part_of(entry.first)); });
  std::string line = fmt::format("{} parameters in {}", elements(weights), counted(std::ssize(weights), "tensor"));
  if (lora > 0) line += fmt::format(", LoRA on {}", counted(lora, "layer"));
  if (vision > 0) line += fmt::format(", {} of the vision tower", vision);
  return line;
}

/// "step_000300, 41.2000 by its validation; 2 evaluations since were no better"; nullopt without a validation.
std::optional<std::string> best_line(const Checkpoint& checkpoint) {
  BestSoFar best;
  best.restore(checkpoint.counters);
  if (!best.steps_done()) return std::nullopt;
  std::string line = fmt::format("{}, {:.4f} by its validation", checkpoint_name(*best.steps_done()), best.value());
  if (best.worse_evaluations() > 0)
    line += fmt::format("; {} since {} no better", counted(best.worse_evaluations(), "evaluation"),
                        best.worse_evaluations() == 1 ? "was" : "were");
  return line;
}

std::string base_line(const BaseModel& base) {
  const std::string path = quote_path(base.path);
  return base.sha256.empty() ? path + ", weights drawn" : fmt::format("{}, weights sha256 {}", path, base.sha256);
}

void add_checkpoint(Facts& facts, const Checkpoint& checkpoint) {
  facts.add("trains", weights_line(checkpoint.weights));
  facts.add("optimiser", optimizer_line(checkpoint.optimizer));
  facts.add("best", best_line(checkpoint).value_or("not known: no validation was made"));
}

/// Of trainable.json: every tensor of the model.
std::string trainable_line(const fs::path& file) {
  const Json tensors = read_list(file);
  int64_t trained = 0, parameters = 0, of = 0;
  try {
    for (const Json& tensor : tensors) {
      int64_t count = 1;
      for (const int64_t size : tensor.at("shape").get<std::vector<int64_t>>()) count *= size;
      of += count;
      if (!tensor.at("trainable").get<bool>()) continue;
      ++trained;
      parameters += count;
    }
  } catch (const Json::exception& error) {
    throw DataError(file.string(), fmt::format("the file must list tensors; got {}; take the run's own file.",
                                               quote_text(error.what())));
  }
  return fmt::format("{} parameters of {}, in {} of {}", with_commas(parameters), with_commas(of), with_commas(trained),
                     counted(std::ssize(tensors), "tensor"));
}

void add_starts(Facts& facts, const fs::path& file) {
  const Json starts = read_list(file);
  if (starts.empty()) return;
  const Json& last = starts.back();
  facts.add("started",
            fmt::format("{}, last {} on {} with {} ranks, by trireme {}", counted(std::ssize(starts), "time"),
                        shown(last, "started"), shown(last, "host"), shown(last, "ranks"), shown(last, "trireme")));
}

/// The step of the last curve line that is whole.
std::optional<int64_t> last_curve_step(const fs::path& metrics) {
  if (!is_there(metrics)) return std::nullopt;
  const std::string text = read_text_file(metrics);
  const std::size_t end = text.rfind('\n');
  if (end == std::string::npos || end == 0) return std::nullopt;
  const std::size_t before = text.rfind('\n', end - 1);
  const std::size_t begin = before == std::string::npos ? 0 : before + 1;
  const Json line = try_parse_ordered_json(text.substr(begin, end - begin));
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return std::nullopt;
  return line["step"].get<int64_t>();
}

/// Folders that are named as checkpoints, by step.
std::vector<fs::path> checkpoint_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename();
    constexpr std::string_view kPrefix = "step_";
    const bool numbered = name.starts_with(kPrefix) && std::all_of(name.begin() + kPrefix.size(), name.end(),
                                                                   [](char c) { return c >= '0' && c <= '9'; });
    if (numbered) folders.push_back(entry.path());
  }
  std::ranges::sort(folders, {}, [](const fs::path& path) {
    const std::string name = path.filename();
    return std::pair(name.size(), name);
  });
  return folders;
}

}  // namespace

bool is_run_checkpoint(const fs::path& folder) {
  return is_there(folder / "state.json") || is_there(folder / "optimizer.safetensors");
}

bool is_run_folder(const fs::path& folder) {
  return is_there(folder / "config.yaml") &&
         (is_there(folder / "environment.json") || is_there(folder / "checkpoints"));
}

std::string describe_run_checkpoint(const fs::path& folder) {
  const Checkpoint checkpoint = read_checkpoint(folder);
  Facts facts("checkpoint of a run");
  facts.add("step", with_commas(checkpoint.step));
  facts.add("recipe", quote_text(checkpoint.recipe));
  facts.add("seed", fmt::format("{}", checkpoint.seed));
  facts.add("base model", base_line(checkpoint.base));
  add_checkpoint(facts, checkpoint);
  facts.add("valid", "yes: every byte is as its manifest.json says");
  return facts.text();
}

std::string describe_run_folder(const fs::path& folder) {
  Facts facts("run");
  const auto recipe = ConfigSource::read(folder / "config.yaml").scalar("recipe");
  facts.add("recipe", recipe ? quote_text(*recipe) : "not said");
  if (is_there(folder / "environment.json")) add_starts(facts, folder / "environment.json");
  if (is_there(folder / "trainable.json")) facts.add("trainable", trainable_line(folder / "trainable.json"));
  if (const auto step = last_curve_step(folder / "metrics.jsonl"))
    facts.add("curves", fmt::format("to step {}", *step));
  if (is_there(folder / "diverged.json")) facts.add("diverged", "see diverged.json");

  std::optional<Checkpoint> newest;
  std::vector<std::pair<std::string, std::string>> lines;
  for (const fs::path& path : checkpoint_folders(folder / "checkpoints")) {
    try {
      newest = read_checkpoint(path);
      lines.emplace_back(path.filename(), "valid");
    } catch (const DataError& error) {
      lines.emplace_back(path.filename(), fmt::format("damaged: {}", error.what()));
    }
  }
  if (newest) {
    facts.add("steps done", with_commas(newest->step));
    facts.add("base model", base_line(newest->base));
    add_checkpoint(facts, *newest);
  }
  facts.add("checkpoints", lines.empty() ? "none" : fmt::format("{}", lines.size()));
  BestSoFar best;
  if (newest) best.restore(newest->counters);
  for (auto& [name, state] : lines) {
    if (newest && name == checkpoint_name(newest->step)) state += ", the newest";
    if (best.steps_done() && name == checkpoint_name(*best.steps_done())) state += ", the best by its validation";
    facts.add("  " + name, state);
  }
  return facts.text();
}

}  // namespace trireme
