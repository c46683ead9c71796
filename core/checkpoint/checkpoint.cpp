#include "core/checkpoint/checkpoint.h"

#include <array>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "core/checkpoint/checkpoint_folder.h"
#include "core/checkpoint/manifest.h"
#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "core/version.h"

namespace trireme {
namespace {

constexpr std::string_view kCheckpointFormat = "checkpoint";
constexpr int64_t kCheckpointVersion = 1;
const std::array<std::string, 4> kFiles = {"weights.safetensors", "optimizer.safetensors", "state.json", "config.yaml"};

std::string state_json(const Checkpoint& checkpoint) {
  for (const auto& [name, value] : checkpoint.counters) {
    TRIREME_ASSERT(std::isfinite(value), "counter {} is {}", name, value);
  }
  const nlohmann::ordered_json state = {
      {"trireme_format", kCheckpointFormat},
      {"format_version", kCheckpointVersion},
      {"created_by", created_by()},
      {"step", checkpoint.step},
      {"recipe", checkpoint.recipe},
      {"seed", checkpoint.seed},
      {"config_sha256", sha256_hex(std::as_bytes(std::span(checkpoint.config_yaml)))},
      {"base_model",
       {{"path", checkpoint.base.path.string()},
        {"sha256", checkpoint.base.sha256},
        {"fingerprint", parse_ordered_json(checkpoint.base.fingerprint.json())}}},
      {"file_bytes", checkpoint.file_bytes},
      {"counters", checkpoint.counters},
      {"pinned_steps", checkpoint.pinned_steps},
  };
  return dump_json(state, 2) + "\n";
}

NamedTensors read_tensors(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  NamedTensors tensors;
  for (const SafetensorsEntry& entry : file.entries()) tensors.emplace_back(entry.name, file.tensor(entry));
  return tensors;
}

/// Removes the folder unless it was given its name.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
    std::filesystem::create_directory(path_, error);
    if (error) throw_write_failure(path_, error.value());
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

std::string checkpoint_name(int64_t step) { return fmt::format("step_{:06}", step); }

void write_checkpoint(const std::filesystem::path& folder, const Checkpoint& checkpoint) {
  const std::string name = checkpoint_name(checkpoint.step);
  const TemporaryFolder made(folder / fmt::format(".{}.{}.tmp", name, ::getpid()));
  write_safetensors(made.path() / kFiles[0], checkpoint.weights);
  write_safetensors(made.path() / kFiles[1], checkpoint.optimizer);
  write_text_file(made.path() / kFiles[2], state_json(checkpoint));
  write_text_file(made.path() / kFiles[3], checkpoint.config_yaml);
  write_manifest(made.path(), kFiles);
  sync_folder(made.path());
  // A run that went on from an older checkpoint, because this one was damaged, comes by here again.
  remove_checkpoint(folder / name);
  if (::rename(made.path().c_str(), (folder / name).c_str()) != 0) throw_write_failure(folder / name, errno);
  sync_folder(folder);
}

Checkpoint read_checkpoint(const std::filesystem::path& checkpoint_folder) {
  check_manifest(checkpoint_folder);
  const std::filesystem::path state_path = checkpoint_folder / kFiles[2];
  Checkpoint checkpoint;
  try {
    const auto state = parse_ordered_json(read_text_file(state_path));
    TRIREME_CHECK(state.at("trireme_format") == kCheckpointFormat && state.at("format_version") == kCheckpointVersion,
                  DataError, "checkpoint",
                  "{} must be a {} of version {}; got {} of version {}; use the program that wrote it.",
                  quote_path(state_path), kCheckpointFormat, kCheckpointVersion, dump_json(state.at("trireme_format")),
                  dump_json(state.at("format_version")));
    state.at("step").get_to(checkpoint.step);
    state.at("recipe").get_to(checkpoint.recipe);
    state.at("seed").get_to(checkpoint.seed);
    checkpoint.base.path = state.at("base_model").at("path").get<std::string>();
    state.at("base_model").at("sha256").get_to(checkpoint.base.sha256);
    if (state.at("base_model").contains("fingerprint"))
      checkpoint.base.fingerprint =
          Fingerprint::from_json(dump_json(state.at("base_model").at("fingerprint")), quote_path(state_path));
    state.at("file_bytes").get_to(checkpoint.file_bytes);
    state.at("counters").get_to(checkpoint.counters);
    state.at("pinned_steps").get_to(checkpoint.pinned_steps);
  } catch (const nlohmann::json::exception& error) {
    throw DataError("checkpoint", fmt::format("{} must hold a checkpoint's state; got \"{}\"; use another checkpoint.",
                                              quote_path(state_path), quote_text(error.what())));
  }
  checkpoint.config_yaml = read_text_file(checkpoint_folder / kFiles[3]);
  checkpoint.weights = read_tensors(checkpoint_folder / kFiles[0]);
  checkpoint.optimizer = read_tensors(checkpoint_folder / kFiles[1]);
  return checkpoint;
}

CheckpointSearch find_newest_checkpoint(const std::filesystem::path& folder) {
  CheckpointSearch search;
  const std::vector<int64_t> steps = steps_in(folder);
  for (auto step = steps.rbegin(); step != steps.rend() && !search.newest; ++step) {
    const std::filesystem::path candidate = folder / checkpoint_name(*step);
    try {
      search.newest = read_checkpoint(candidate);
      search.folder = candidate;
    } catch (const DataError& error) {
      search.skipped.push_back({candidate, error.what()});
    }
  }
  return search;
}

}  // namespace trireme
