#include "core/io/hash.h"

#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <xxhash.h>

#include "core/error.h"
#include "core/io/descriptor.h"

namespace trireme {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  TRIREME_ASSERT(state_->context && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1,
                 "OpenSSL lacks SHA-256");
}
Sha256::~Sha256() = default;

void Sha256::add(std::span<const std::byte> bytes) {
  TRIREME_ASSERT(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1, "{} bytes", bytes.size());
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  TRIREME_ASSERT(EVP_DigestFinal_ex(state_->context.get(), digest.data(), nullptr) == 1, "at the end");
  std::string text;
  for (const unsigned char byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string sha256_hex_of_files(std::span<const std::filesystem::path> paths) {
  constexpr std::size_t kBlockBytes = 1 << 20;
  std::vector<std::byte> block(kBlockBytes);
  Sha256 hash;
  for (const std::filesystem::path& path : paths) {
    const Descriptor descriptor = open_for_reading(path);
    while (const std::size_t count = read_some(descriptor, block, path)) hash.add(std::span(block).first(count));
  }
  return hash.hex();
}

uint64_t xxh3_64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace trireme
