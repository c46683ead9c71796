#pragma once

#include <filesystem>
#include <vector>

#include "models/trainable.h"

namespace trireme {

/// Writes trainable.json: an array with one line per tensor of the model, in the model's order:
///   {"name": "model.norm.weight", "shape": [384], "dtype": "float32", "trainable": false, "lora_target": ""}
/// throws DataError: folder not writable, disk full.
void write_trainable_file(const std::filesystem::path& path, const std::vector<TensorStatus>& tensors);

}  // namespace trireme
