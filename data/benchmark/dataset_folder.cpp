#include "data/benchmark/dataset_folder.h"

#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include <fcntl.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "core/io/mapping_fault.h"
#include "core/io/quote.h"
#include "core/json.h"
#include "core/parallel.h"
#include "core/version.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::string_view kManifest = "manifest.json";
constexpr std::string_view kFormat = "trireme_dataset";
constexpr int64_t kVersion = 1;

Json to_json(const DatasetManifest& manifest) {
  Json json = {
      {"format", kFormat}, {"format_version", kVersion}, {"created_by", created_by()}, {"dataset", manifest.dataset}};
  json["sources"] = Json::array();
  for (const SourcePackage& source : manifest.sources) {
    json["sources"].push_back(
        {{"package", source.name}, {"version", source.version}, {"what", source.what}, {"licence", source.licence}});
  }
  json["counts"] = Json::array();
  for (const SplitCounts& row : manifest.counts) {
    json["counts"].push_back({{"what", row.what}, {"train", row.train}, {"val", row.val}, {"test", row.test}});
  }
  json["notes"] = manifest.notes;
  json["sha256"] = manifest.sha256;
  return json;
}

DatasetManifest from_json(const Json& json) {
  DatasetManifest manifest;
  manifest.dataset = json.at("dataset");
  for (const Json& source : json.at("sources")) {
    manifest.sources.push_back({source.at("package"), source.at("version"), source.at("what"), source.at("licence")});
  }
  for (const Json& row : json.at("counts")) {
    manifest.counts.push_back({row.at("what"), row.at("train"), row.at("val"), row.at("test")});
  }
  manifest.notes = json.at("notes").get<std::vector<std::string>>();
  manifest.sha256 = json.at("sha256").get<std::map<std::string, std::string>>();
  return manifest;
}

/// What is wrong with the file, or "".
std::string difference(const fs::path& file, const std::string& sha256) {
  std::error_code error;
  if (!fs::is_regular_file(file, error)) return "is missing";
  const fs::path one[] = {file};
  return sha256_hex_of_files(one) == sha256 ? "" : "has changed";
}

void sync_filesystem(const fs::path& folder) {
  const Descriptor descriptor(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  TRIREME_CHECK(descriptor.number() >= 0 && syncfs(descriptor.number()) == 0, DataError, folder.string(),
                "the files must reach the disk; got \"{}\"; check the disk.", std::generic_category().message(errno));
}

/// One of many files, which reach the disk together at the end. shown: where it will be then.
void put_file(const fs::path& file, std::string_view content, const fs::path& shown) {
  Descriptor out(open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (out.number() < 0) throw_write_failure(shown, errno);
  write_all(out.number(), std::as_bytes(std::span(content)), shown);
  if (const int failed = out.close()) throw_write_failure(shown, failed);
}

}  // namespace

bool is_prepared_dataset(const fs::path& folder) {
  std::error_code error;
  return fs::is_regular_file(folder / kManifest, error);
}

DatasetManifest read_manifest(const fs::path& folder) {
  const fs::path file = folder / kManifest;
  const std::string text = read_text_file(file);
  try {
    const Json json = parse_ordered_json(text);
    TRIREME_CHECK(json.at("format") == kFormat && json.at("format_version") == kVersion, DataError, file.string(),
                  "a manifest must be of format {} {}; got {} {}; prepare the dataset with this version.", kFormat,
                  kVersion, dump_json(json.at("format")), dump_json(json.at("format_version")));
    return from_json(json);
  } catch (const Json::exception& error) {
    throw DataError(file.string(), fmt::format("a manifest must be JSON with its fields; got \"{}\"; remove the folder "
                                               "and prepare the dataset again.",
                                               error.what()));
  }
}

void verify_files(const fs::path& folder, const DatasetManifest& manifest) {
  const std::vector<std::pair<std::string, std::string>> files(manifest.sha256.begin(), manifest.sha256.end());
  std::vector<std::string> wrong(files.size());
  parallel_for(std::ssize(files), 16, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
      wrong[i] = difference(folder / files[i].first, files[i].second);
  });
  std::vector<std::string> problems;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!wrong[i].empty()) problems.push_back(fmt::format("{} {}", quote_text(files[i].first), wrong[i]));
  }
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string path = entry.path().lexically_relative(folder).generic_string();
    if (!entry.is_directory() && path != kManifest && !manifest.sha256.contains(path))
      problems.push_back(fmt::format("{} is not of it", quote_text(path)));
  }
  TRIREME_CHECK(problems.empty(), DataError, folder.string(),
                "the files must be those of {}; got {}{}; remove the folder and prepare the dataset again.", kManifest,
                problems[0], problems.size() > 1 ? fmt::format(" and {} more", problems.size() - 1) : "");
}

DatasetWriter::DatasetWriter(fs::path folder) : folder_(std::move(folder)) {
  while (!folder_.has_filename() && folder_.has_parent_path() && folder_ != folder_.root_path())
    folder_ = folder_.parent_path();  // "data/pictograms/" names the same folder
  std::error_code error;
  TRIREME_CHECK(!fs::exists(folder_) || (fs::is_directory(folder_) && fs::is_empty(folder_, error)), DataError,
                folder_.string(),
                "a dataset must go to a folder that is not there yet or empty; got one with other files; give another "
                "--out or remove it.");
  const fs::path parent = folder_.has_parent_path() ? folder_.parent_path() : fs::path(".");
  fs::create_directories(parent, error);
  temporary_ = parent / fmt::format(".{}.{}.tmp", folder_.filename().string(), getpid());
  fs::remove_all(temporary_, error);
  TRIREME_CHECK(fs::create_directory(temporary_, error), DataError, folder_.string(),
                "the folder above must be writable; got \"{}\"; check its permissions.", error.message());
}

DatasetWriter::~DatasetWriter() {
  std::error_code ignored;
  if (!temporary_.empty()) fs::remove_all(temporary_, ignored);
}

void DatasetWriter::write(const fs::path& path, std::string_view content) {
  TRIREME_ASSERT(path.is_relative() && !temporary_.empty(), "path {}", path.string());
  const fs::path file = temporary_ / path;
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) throw_write_failure(folder_ / path, error.value());
  put_file(file, content, folder_ / path);
  std::string sha256 = sha256_hex(std::as_bytes(std::span(content)));
  const std::lock_guard lock(mutex_);
  TRIREME_ASSERT(sha256_.emplace(path.generic_string(), std::move(sha256)).second, "{} written twice", path.string());
}

DatasetManifest DatasetWriter::commit(DatasetManifest manifest) {
  manifest.sha256 = sha256_;
  const std::string text = dump_json(to_json(manifest), 1) + "\n";
  put_file(temporary_ / kManifest, text, folder_ / kManifest);
  require_mappings_whole();
  sync_filesystem(temporary_);
  std::error_code error;
  fs::rename(temporary_, folder_, error);  // over an empty folder too
  TRIREME_CHECK(!error, DataError, folder_.string(),
                "the finished folder must take its place; got \"{}\"; give another --out.", error.message());
  temporary_.clear();
  return manifest;
}

}  // namespace trireme
