#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "core/json.h"
#include "core/tensor.h"
#include "tests/support/temp_folder.h"

namespace trireme::test {

/// tests/golden/checkpoints/NAME: a hub folder, `cases/..`, or `adapters/..`; make.py there says what each holds.
inline std::filesystem::path golden_checkpoint(const std::string& name) {
  return std::filesystem::path(TRIREME_TEST_DIR) / "golden" / "checkpoints" / name;
}

/// A copy of a checkpoint or adapter folder that a test may change or damage.
class EditableFolder {
 public:
  using Json = nlohmann::ordered_json;
  using Tensors = std::map<std::string, torch::Tensor>;

  explicit EditableFolder(const std::filesystem::path& source) {
    std::filesystem::copy(source, path(), std::filesystem::copy_options::recursive);
  }

  const std::filesystem::path& path() const noexcept { return folder_.path(); }
  void remove(std::string_view name) const { std::filesystem::remove(path() / name); }
  void write(std::string_view name, std::string_view content) const { folder_.write(name, content); }

  /// `edit(Json&)` changes the file in place.
  template <class Edit>
  void edit_json(std::string_view name, Edit&& edit) const {
    Json value = parse_ordered_json(read_text_file(path() / name));
    std::forward<Edit>(edit)(value);
    write(name, dump_json(value, 2));
  }

  /// `edit(Tensors&)` gets all tensors of one .safetensors file and leaves what is to be in it.
  template <class Edit>
  void edit_tensors(std::string_view name, Edit&& edit) const {
    Tensors tensors;
    {
      const SafetensorsFile file(path() / name);
      for (const SafetensorsEntry& entry : file.entries()) tensors[entry.name] = file.tensor(entry).clone();
    }
    std::forward<Edit>(edit)(tensors);
    write_safetensors(path() / name,
                      std::vector<std::pair<std::string, torch::Tensor>>(tensors.begin(), tensors.end()));
  }

 private:
  TempFolder folder_;
};

}  // namespace trireme::test
