#include "trainers/run/run_directory.h"

#include <cerrno>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include <unistd.h>

#include "core/checkpoint/checkpoint_folder.h"
#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/json.h"
#include "trainers/run/environment.h"
#include "trainers/run/event_record.h"
#include "trainers/run/growing_file.h"
#include "trainers/run/lock_file.h"

namespace trireme {
namespace {

constexpr std::string_view kConfigName = "config.yaml";
constexpr std::string_view kEnvironmentName = "environment.json";
constexpr std::string_view kMetricsName = "metrics.jsonl";
constexpr std::string_view kTimingName = "timing.jsonl";

using Scalars = std::vector<std::pair<std::string, double>>;

/// Refuses a folder that exists and holds neither a run nor nothing.
void check_contents(const std::filesystem::path& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder / kConfigName, error)) return;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    TRIREME_CHECK(name == "lock", ConfigError, "run",
                  "a run directory must be empty or hold a run; got {} with {} in it and no {}; choose another.",
                  quote_path(folder), quote_text(name), kConfigName);
  }
  TRIREME_CHECK(!error, DataError, "run", "{} must be a readable folder; got \"{}\"; check its permissions.",
                quote_path(folder), error.message());
}

/// The folder, made if missing, once it is clear that it holds a run or nothing.
std::filesystem::path prepare_folder(std::filesystem::path folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_write_failure(folder, error.value());
  check_contents(folder);
  return folder;
}

/// Refuses a folder that could not be written to, or made. Makes nothing.
void check_writable(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(folder);
  while (!std::filesystem::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (!std::filesystem::is_directory(there, error)) throw_write_failure(folder, ENOTDIR);
  if (::access(there.c_str(), W_OK | X_OK) != 0) throw_write_failure(folder, errno);
}

/// Of a run that has a config but no checkpoint: it may differ from `now` in what has no effect on values.
void check_same_config(const std::filesystem::path& config_path, const RunIdentity& identity, const Checkpoint& now,
                       std::vector<std::string> allow) {
  Checkpoint before = now;
  before.config_yaml = read_text_file(config_path);
  before.recipe = ConfigSource::read(config_path).scalar("recipe").value_or(identity.recipe);
  for (const ConfigDifference& each : config_differences(identity.config_values, identity.config_dump)) {
    allow.push_back(each.key);
  }
  Checkpoint whole = now;
  whole.config_yaml = identity.config_dump;
  check_same_run(before, quote_path(config_path), whole, allow);
}

/// What a run must have in common with its checkpoints, but for the base model.
Checkpoint identity_of(const RunIdentity& identity) {
  Checkpoint now;
  now.recipe = identity.recipe;
  now.config_yaml = identity.config_values;
  now.base = identity.base;
  return now;
}

/// Recipe and config of a checkpoint, out of its small files; nothing where they are damaged or not there.
std::optional<Checkpoint> config_of(const std::filesystem::path& folder, const BaseModel& base) {
  std::error_code error;
  const std::filesystem::path state_path = folder / "state.json", config_path = folder / kConfigName;
  if (!std::filesystem::exists(state_path, error) || !std::filesystem::exists(config_path, error)) return std::nullopt;
  const auto state = try_parse_json(read_text_file(state_path));
  const auto text_at = [&state](const char* key) {
    const bool there = state.is_object() && state.contains(key) && state.at(key).is_string();
    return there ? state.at(key).get<std::string>() : std::string();
  };
  Checkpoint checkpoint;
  checkpoint.config_yaml = read_text_file(config_path);
  checkpoint.recipe = text_at("recipe");
  checkpoint.base = base;
  if (text_at("config_sha256") != sha256_hex(std::as_bytes(std::span(checkpoint.config_yaml)))) return std::nullopt;
  return checkpoint;
}

/// Whether the run goes on from one of its checkpoints; the newest may turn out to be damaged.
void check_configs(const std::filesystem::path& checkpoints, const Checkpoint& now, const ResumeConfig& resume) {
  std::optional<ConfigError> of_newest;
  const std::vector<int64_t> steps = steps_in(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::filesystem::path folder = checkpoints / checkpoint_name(*step);
    const std::optional<Checkpoint> before = config_of(folder, now.base);
    if (!before) continue;
    try {
      check_same_run(*before, quote_path(folder), now, resume.allow);
      return;
    } catch (const ConfigError& error) {
      if (!of_newest) of_newest = error;
    }
  }
  if (of_newest) throw *of_newest;
}

std::optional<Checkpoint> find_checkpoint(const std::filesystem::path& folder, const Checkpoint& now,
                                          const ResumeConfig& resume, Log& log) {
  CheckpointSearch search = find_newest_checkpoint(folder);
  for (const SkippedCheckpoint& skipped : search.skipped) {
    log.warning("checkpoint {} is skipped: {}", quote_path(skipped.folder), skipped.reason);
  }
  if (search.newest) {
    check_same_run(*search.newest, quote_path(search.folder), now, resume.allow);
    log.info("going on after step {}, from {}", search.newest->step, quote_path(search.folder));
  }
  TRIREME_CHECK(search.newest || search.skipped.empty(), DataError, "run",
                "one of the checkpoints in {} must be whole; got {} damaged ones, the newest: {}; bring a copy, or "
                "remove the folder to begin again.",
                quote_path(folder), search.skipped.size(), search.skipped.front().reason);
  return std::move(search.newest);
}

/// What environment.json says of the run's earlier starts; an empty list without it.
nlohmann::ordered_json read_starts(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return nlohmann::ordered_json::array();
  auto starts = try_parse_ordered_json(read_text_file(path));
  TRIREME_CHECK(starts.is_array(), DataError, "run", "{} must hold a list; got something else; move it away.",
                quote_path(path));
  return starts;
}

void add_environment(const std::filesystem::path& path, const RunIdentity& identity) {
  nlohmann::ordered_json starts = read_starts(path);
  nlohmann::ordered_json start = describe_environment(identity.ranks);
  start["recipe"] = identity.recipe;
  start["seed"] = identity.seed;
  start["base_model"] = {{"path", identity.base.path.string()},
                         {"sha256", identity.base.sha256},
                         {"fingerprint", parse_ordered_json(identity.base.fingerprint.json())}};
  starts.push_back(std::move(start));
  write_text_file(path, dump_json(starts, 2, BrokenUtf8::kReplaced) + "\n");
}

/// The run's own file, cut back to where the checkpoint stood; a new run's is empty.
GrowingFile open_growing(const std::filesystem::path& path, const std::optional<Checkpoint>& checkpoint, Log& log) {
  const std::string name = path.filename();
  uint64_t keep_bytes = 0;
  if (checkpoint) {
    if (const auto found = checkpoint->file_bytes.find(name); found != checkpoint->file_bytes.end()) {
      keep_bytes = found->second;
    }
  }
  GrowingFile file(path, keep_bytes);
  if (file.size_bytes() < keep_bytes) {
    log.warning("{} had {} bytes at the checkpoint and has {} now: its older lines are missing", quote_path(path),
                keep_bytes, file.size_bytes());
  }
  return file;
}

std::string event_file_name() {
  return fmt::format("events.out.tfevents.{:010}.{}.{}.0", std::time(nullptr), host_name(), ::getpid());
}

double wall_time_s() {
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

std::string json_line(int64_t step, const Scalars& scalars) {
  nlohmann::ordered_json line = {{"step", step}};
  for (const auto& [name, value] : scalars) {
    line[name] =
        std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(fmt::format("{}", value));
  }
  return dump_json(line) + "\n";
}

}  // namespace

void check_run_folder(const std::filesystem::path& folder, const RunIdentity& identity, const ResumeConfig& resume) {
  check_writable(folder);
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return;
  check_contents(folder);
  require_unlocked(folder / "lock");
  const std::filesystem::path config_path = folder / kConfigName, checkpoints = folder / "checkpoints";
  if (!std::filesystem::exists(config_path, error)) return;
  read_starts(folder / kEnvironmentName);
  const Checkpoint now = identity_of(identity);
  if (steps_in(checkpoints).empty()) {
    check_same_config(config_path, identity, now, resume.allow);
  } else {
    check_configs(checkpoints, now, resume);
  }
}

struct RunDirectory::Files {
  GrowingFile metrics, timing, events;
};

RunDirectory::RunDirectory(std::filesystem::path folder, const RunIdentity& identity, const ResumeConfig& resume,
                           Log& log)
    : path_(prepare_folder(std::move(folder))), lock_(std::make_unique<LockFile>(path_ / "lock")), identity_(identity) {
  const Checkpoint now = identity_of(identity);
  const std::filesystem::path config_path = path_ / kConfigName;
  const bool is_known = std::filesystem::exists(config_path);
  if (is_known) checkpoint_ = find_checkpoint(checkpoints(), now, resume, log);
  if (is_known && !checkpoint_) check_same_config(config_path, identity, now, resume.allow);

  write_text_file(config_path, identity.config_dump);
  add_environment(path_ / kEnvironmentName, identity);
  constexpr uint64_t kKeepAll = std::numeric_limits<uint64_t>::max();
  files_ = std::make_unique<Files>(Files{open_growing(path_ / kMetricsName, checkpoint_, log),
                                         open_growing(path_ / kTimingName, checkpoint_, log),
                                         GrowingFile(path_ / event_file_name(), kKeepAll)});
  files_->events.append(version_record(wall_time_s()));
  if (is_known) files_->events.append(restart_record(wall_time_s(), checkpoint_ ? checkpoint_->step : 0));
}

RunDirectory::~RunDirectory() = default;

std::optional<Checkpoint> RunDirectory::take_checkpoint() { return std::exchange(checkpoint_, std::nullopt); }

Checkpoint RunDirectory::begin_checkpoint(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.recipe = identity_.recipe;
  checkpoint.config_yaml = identity_.config_values;
  checkpoint.seed = identity_.seed;
  checkpoint.base = identity_.base;
  files_->metrics.sync();
  files_->timing.sync();
  checkpoint.file_bytes = {{std::string(kMetricsName), files_->metrics.size_bytes()},
                           {std::string(kTimingName), files_->timing.size_bytes()}};
  return checkpoint;
}

void RunDirectory::write(const StepRecord& record) {
  if (!record.values.empty()) files_->metrics.append(json_line(record.step, record.values));
  if (!record.timings.empty()) files_->timing.append(json_line(record.step, record.timings));
  Scalars all = record.values;
  all.insert(all.end(), record.timings.begin(), record.timings.end());
  files_->events.append(scalars_record(wall_time_s(), record.step, all));
}

}  // namespace trireme
