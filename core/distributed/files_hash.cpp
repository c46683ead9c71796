#include "core/distributed/files_hash.h"

#include <algorithm>
#include <array>

#include <unistd.h>

#include "core/distributed/agreement.h"
#include "core/error.h"
#include "core/io/hash.h"

namespace trireme {
namespace {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

/// No rank before this one is on its host.
bool is_first_of_host(Communicator& communicator) {
  if (communicator.size() == 1) return true;
  const std::vector<std::string> hosts = all_gather_string(communicator, host_name());
  const auto mine = hosts.begin() + communicator.rank();
  return std::find(hosts.begin(), mine, *mine) == mine;
}

}  // namespace

FilesHash::FilesHash(Communicator& communicator, std::vector<std::filesystem::path> files) {
  if (!is_first_of_host(communicator)) return;
  hash_ = std::async(std::launch::async, [files = std::move(files)] { return sha256_hex_of_files(files); });
}

FilesHash::~FilesHash() = default;

std::string FilesHash::get(Communicator& communicator) {
  const std::string mine = hash_.valid() ? hash_.get() : "";
  if (communicator.size() == 1) return mine;
  const std::vector<std::string> hashes = all_gather_string(communicator, mine);
  for (std::size_t rank = 0; rank < hashes.size(); ++rank)
    TRIREME_CHECK(
        hashes[rank].empty() || hashes[rank] == hashes[0], DistError, "dist",
        "every host must have the same weights; got sha256 {} on rank 0 and {} on rank {}; copy the checkpoint "
        "to every host anew.",
        hashes[0], hashes[rank], rank);
  return hashes[0];
}

}  // namespace trireme
