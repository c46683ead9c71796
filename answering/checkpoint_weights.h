#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/distributed/files_hash.h"
#include "core/io/fingerprint.h"
#include "models/compute_dtype.h"
#include "models/lmm.h"
#include "models/load_options.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {

/// Which weights: a base of the configs whose keys these are.
struct CheckpointSource {
  std::filesystem::path path;                    ///< a Hugging Face folder
  std::optional<std::filesystem::path> adapter;  ///< PEFT LoRA on it
  ComputeDtype dtype = ComputeDtype::kFloat32;
};

/// The weights of a folder, and of an adapter where one is named: all that can be wrong about the files' headers is
/// found by the constructor, before load() reads a value.
class CheckpointWeights {
 public:
  /// throws what HubCheckpoint and read_adapter throw.
  explicit CheckpointWeights(CheckpointSource source);

  const ModelConfig& config() const noexcept { return files_.config(); }
  /// The model with the adapter attached, in the source's dtype; options: device and head. One rank of each host takes
  /// the hash of the weights meanwhile, on a thread of its own. Collective.
  Lmm load(Communicator& communicator, LoadOptions options);

  /// After load(): what of the files is harmless and not used, each with its reason.
  std::vector<std::string> unused() const;
  /// Of the weights' files. Waits for the hash, which is taken here where load() was not called. Collective: the same
  /// on every rank.
  std::string sha256(Communicator& communicator);
  /// "" without an adapter.
  std::string adapter_sha256() const { return adapter_ ? adapter_->sha256 : ""; }
  /// Weights, adapter, configuration, tokenizer. Collective, as sha256().
  Fingerprint fingerprint(Communicator& communicator);

 private:
  CheckpointSource source_;
  HubCheckpoint files_;
  std::optional<Adapter> adapter_;
  bool has_head_ = false;  ///< of the loaded model
  std::optional<FilesHash> hash_;
  std::optional<std::string> sha256_;  ///< once `hash_` was waited for
};

}  // namespace trireme
