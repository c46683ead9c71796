#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ATen/ops/arange.h>

#include "core/io/file.h"
#include "core/io/safetensors.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using fuzz::Corpus;

const std::filesystem::path kGolden = std::filesystem::path(TRIREME_TEST_DIR) / "golden";

const std::vector<std::string> kPieces{"\"dtype\":",
                                       "\"shape\":[",
                                       "\"data_offsets\":[0,",
                                       "\"__metadata__\":{",
                                       "{",
                                       "[",
                                       "]}",
                                       "\"F32\"",
                                       "\"BOOL\"",
                                       "\"F8_E4M3\"",
                                       "null",
                                       "-1",
                                       ",",
                                       ":",
                                       "\"weight_map\":{",
                                       "\"../x\"",
                                       "\\u0000",
                                       "\xff",
                                       "9223372036854775808",
                                       "1e400"};

/// A file that never touches a disk.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("fuzz", MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }
  std::filesystem::path path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }
  void write(std::string_view content) const {
    if (::ftruncate(descriptor_, 0) != 0 ||
        ::pwrite(descriptor_, content.data(), content.size(), 0) != std::ssize(content))
      throw std::runtime_error("cannot write to memory");
  }

 private:
  int descriptor_;
};

/// Reads every byte of every tensor, so that a range outside the mapping is met.
void read_all(const SafetensorsFile& file) {
  for (const SafetensorsEntry& entry : file.entries()) {
    const torch::Tensor tensor = file.tensor(entry);
    std::string copy(tensor.nbytes(), '\0');
    if (!copy.empty()) std::memcpy(copy.data(), tensor.const_data_ptr(), copy.size());
  }
}

TEST(SafetensorsFuzz, SurvivesMutatedFiles) {
  const MemoryFile file;
  const Corpus corpus{
      {read_text_file(kGolden / "core_io/reference.safetensors"), std::string("\2\0\0\0\0\0\0\0{}", 10)}, kPieces};
  fuzz::survives_mutation("safetensors_file", corpus, [&](const std::string& input) {
    file.write(input);
    read_all(SafetensorsFile(file.path()));
  });
}

/// The length before the header is always right here, so that mutations reach further.
TEST(SafetensorsFuzz, SurvivesMutatedHeaders) {
  const MemoryFile file;
  const std::string reference = read_text_file(kGolden / "core_io/reference.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, reference.data(), sizeof(length));
  const std::string data = reference.substr(8 + length);
  fuzz::survives_mutation("safetensors_header", {{reference.substr(8, length)}, kPieces},
                          [&](const std::string& header) {
                            const uint64_t header_bytes = header.size();
                            std::string input(8, '\0');
                            std::memcpy(input.data(), &header_bytes, sizeof(header_bytes));
                            file.write(input + header + data);
                            read_all(SafetensorsFile(file.path()));
                          });
}

TEST(SafetensorsFuzz, SurvivesMutatedIndices) {
  const test::TempFolder folder;
  const MemoryFile index;
  std::filesystem::create_symlink(index.path(), folder.path() / "model.safetensors.index.json");
  write_safetensors(folder.path() / "1.safetensors", {{"a", at::arange(2)}, {"b", at::arange(3)}});
  write_safetensors(folder.path() / "2.safetensors", {{"c", at::arange(4)}});
  const Corpus corpus{{R"({"metadata":{"total_size":72},"weight_map":{"a":"1.safetensors","c":"2.safetensors"}})",
                       R"({"weight_map":{"b":"1.safetensors"}})"},
                      kPieces};
  fuzz::survives_mutation("safetensors_index", corpus, [&](const std::string& input) {
    index.write(input);
    const SafetensorsFolder shards(folder.path());
    for (const std::string& name : shards.names()) shards.tensor(name);
  });
}

}  // namespace
}  // namespace trireme
