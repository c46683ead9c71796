#include "trainers/run/trainable_file.h"

#include <nlohmann/json.hpp>

#include "core/io/file.h"
#include "core/json.h"

namespace trireme {

void write_trainable_file(const std::filesystem::path& path, const std::vector<TensorStatus>& tensors) {
  AtomicFile file(path);
  std::string_view separator = "[\n";
  for (const TensorStatus& tensor : tensors) {
    const nlohmann::ordered_json line = {{"name", tensor.name},
                                         {"shape", tensor.shape},
                                         {"dtype", tensor.dtype},
                                         {"trainable", tensor.trainable},
                                         {"lora_target", tensor.lora_target}};
    file.write(std::exchange(separator, ",\n"));
    file.write(dump_json(line));
  }
  file.write(tensors.empty() ? "[]\n" : "\n]\n");
  file.commit();
}

}  // namespace trireme
