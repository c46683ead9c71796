#include "core/checkpoint/manifest.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/json.h"

namespace trireme {
namespace {

constexpr std::size_t kBlockBytes = 1 << 20;
constexpr std::string_view kFormat = "checkpoint_manifest";
constexpr int64_t kVersion = 1;
constexpr std::string_view kName = "manifest.json";
constexpr std::string_view kUseAnother = "use another checkpoint or a copy of this one";

std::string checksum(std::span<const std::byte> bytes) { return fmt::format("{:016x}", xxh3_64(bytes)); }
std::string checksum(const std::string& text) { return checksum(std::as_bytes(std::span(text))); }

std::span<const std::byte> block(std::span<const std::byte> bytes, std::size_t begin) {
  return bytes.subspan(begin, std::min(kBlockBytes, bytes.size() - begin));
}

nlohmann::ordered_json describe(const std::filesystem::path& file, const std::string& name) {
  const MappedFile mapped(file);
  const std::span<const std::byte> bytes = mapped.bytes();
  auto blocks = nlohmann::ordered_json::array();
  for (std::size_t begin = 0; begin < bytes.size(); begin += kBlockBytes)
    blocks.push_back(checksum(block(bytes, begin)));
  return {{"name", name}, {"bytes", bytes.size()}, {"xxh3_64", std::move(blocks)}};
}

void check_file(const std::filesystem::path& folder, const nlohmann::ordered_json& entry) {
  const std::filesystem::path path = folder / entry.at("name").get<std::string>();
  std::error_code ignored;
  TRIREME_CHECK(std::filesystem::is_regular_file(path, ignored), DataError, "checkpoint",
                "{} must be there, as {} says; got no such file; {}.", quote_path(path), kName, kUseAnother);
  const MappedFile mapped(path);
  const std::span<const std::byte> bytes = mapped.bytes();
  TRIREME_CHECK(bytes.size() == entry.at("bytes").get<std::size_t>(), DataError, "checkpoint",
                "{} must have {} bytes, as {} says; got {}; {}.", quote_path(path), dump_json(entry.at("bytes")), kName,
                bytes.size(), kUseAnother);
  const nlohmann::ordered_json& blocks = entry.at("xxh3_64");
  for (std::size_t i = 0; i * kBlockBytes < bytes.size(); ++i) {
    const std::size_t begin = i * kBlockBytes;
    const std::string got = checksum(block(bytes, begin));
    TRIREME_CHECK(got == blocks.at(i).get<std::string>(), DataError, "checkpoint",
                  "bytes {} to {} of {} must have the checksum {}; got {}: the file was changed or damaged; {}.", begin,
                  std::min(begin + kBlockBytes, bytes.size()) - 1, quote_path(path), blocks.at(i).get<std::string>(),
                  got, kUseAnother);
  }
}

}  // namespace

void write_manifest(const std::filesystem::path& folder, std::span<const std::string> names) {
  auto files = nlohmann::ordered_json::array();
  for (const std::string& name : names) files.push_back(describe(folder / name, name));
  const std::string own = checksum(dump_json(files));
  const nlohmann::ordered_json manifest = {{"trireme_format", kFormat},
                                           {"format_version", kVersion},
                                           {"xxh3_64_of_files", own},
                                           {"files", std::move(files)}};
  write_text_file(folder / kName, dump_json(manifest));
}

void check_manifest(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / kName;
  constexpr std::size_t kMaxBytes = 1 << 28;
  const std::string text = read_text_file(path, kMaxBytes);
  try {
    const auto manifest = parse_ordered_json(text);
    TRIREME_CHECK(manifest.at("trireme_format") == kFormat && manifest.at("format_version") == kVersion, DataError,
                  "checkpoint", "{} must be a {} of version {}; got {} of version {}; use the program that wrote it.",
                  quote_path(path), kFormat, kVersion, dump_json(manifest.at("trireme_format")),
                  dump_json(manifest.at("format_version")));
    const std::string own = checksum(dump_json(manifest.at("files")));
    TRIREME_CHECK(
        own == manifest.at("xxh3_64_of_files").get<std::string>(), DataError, "checkpoint",
        "the list of files in {} must have the checksum that it names; got {}: it was changed or damaged; {}.",
        quote_path(path), own, kUseAnother);
    for (const auto& entry : manifest.at("files")) check_file(folder, entry);
  } catch (const nlohmann::json::exception& error) {
    throw DataError("checkpoint", fmt::format("{} must be whole; got \"{}\"; {}.", quote_path(path),
                                              quote_text(error.what()), kUseAnother));
  }
}

}  // namespace trireme
