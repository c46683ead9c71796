#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "models/export/merged_folder.h"

namespace trireme {

/// What an export made of every tensor, by its name in the files.
struct TensorAccount {
  std::map<std::string, std::string> written;   ///< name -> "as in the base", "trained", "LoRA merged in", ..
  std::map<std::string, std::string> left_out;  ///< name in the base -> why nothing is lost
};

/// Reads a merged folder back and holds it against the base's files and the model, without what wrote it:
///   each of the base's tensors is there, under its own name and in its shape, or left out for a known reason;
///   what is neither trained nor adapted is the base's, cast, to the bit; what is trained is the model's, likewise;
///   what is adapted gives, for a few random inputs, what the layer gives with its LoRA beside it (1e-5 of the largest
///   in float32, 2e-2 in bfloat16 and float16).
/// throws DataError: names the first tensor that is missing, of another shape, dtype or value.
/// cost   one read of both folders.
TensorAccount check_merged_folder(const std::filesystem::path& folder, Lmm& model, const MergedExport& options);

}  // namespace trireme
