#include "core/config/field_count.h"
#include "core/error.h"
#include "core/io/embeddings_file.h"
#include "core/io/hash.h"
#include "core/io/hdf5.h"
#include "core/io/safetensors.h"
#include "core/printable.h"
#include "core/shape.h"
#include "data/benchmark/dataset_folder.h"
#include "data/sources/hard_negatives_file.h"
#include "data/sources/records.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "launch/verbs.h"
#include "models/weights/describe.h"
#include "retrieval/search/run_file.h"
#include "trainers/describe_run.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  fs::path path;
  std::optional<fs::path> instructions;
  void describe(FieldList& v) {
    v.field(
         "path", path,
         "Folder of a checkpoint, an adapter, a training run, one of its checkpoints, or a dataset; embeddings, run or "
         "hard negatives (.h5), weights (.safetensors), records (.jsonl).")
        .required()
        .positional();
    v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.");
  }
};
static_assert(field_count<InspectOptions>() == 2, "describe() must list every field");

/// Names out of a file, each on one line whatever it holds.
std::vector<std::string> printable_all(std::vector<std::string> names) {
  for (std::string& name : names) name = printable(name);
  return names;
}

/// A line for each part of what a file follows from.
std::string lines_of(const Fingerprint& fingerprint) {
  std::string lines;
  for (const FingerprintPart part : all_fingerprint_parts()) {
    const std::string value(fingerprint.get(part));
    if (!value.empty()) lines += fmt::format("    {:<22}  {}\n", names_of(std::array{part}), value);
  }
  return lines.empty() ? "" : "  follows from\n" + lines;
}

std::string describe_embeddings(const fs::path& path) {
  const EmbeddingsReader file(path);
  const EmbeddingsInfo& info = file.info();
  std::string out = fmt::format(
      "embeddings\n  rows            {}\n  dimensions      {} {}, {}\n  model           {}\n  model sha256    {}\n"
      "  adapter sha256  {}\n  rope mode       {}\n  config sha256   {}\n  first ids       {}\n",
      file.rows(), file.dim(), dtype_name(file.dtype()), info.normalized ? "unit length" : "not normalised",
      printable(info.model), info.model_sha256, info.adapter_sha256.empty() ? "none" : info.adapter_sha256,
      info.rope_mode, info.config_sha256,
      fmt::join(printable_all(file.read_ids(0, std::min<int64_t>(file.rows(), 5))), ", "));
  out += lines_of(info.fingerprint);
  const std::vector<SkippedRow> skipped = file.skipped();
  if (skipped.empty()) return out;
  out += fmt::format("  skipped         {}, which could not be read\n", skipped.size());
  constexpr std::size_t kSamples = 10;
  for (const SkippedRow& row : std::span(skipped).first(std::min(skipped.size(), kSamples)))
    out += fmt::format("    {}: {}\n", printable(row.id), printable(row.reason));
  if (skipped.size() > kSamples) out += "    ..\n";
  return out;
}

std::string describe_run(const fs::path& path) {
  const Run run = read_run(path);
  const RunInfo& info = run.info;
  std::string out = fmt::format(
      "run\n  queries         {}\n  documents       up to {} for each, of {}\n  method          {}\n  model           "
      "{}\n"
      "  model sha256    {}\n  adapter sha256  {}\n  config sha256   {}\n",
      run.queries(), run.depth(), info.candidates, printable(info.method), printable(info.model), info.model_sha256,
      info.adapter_sha256.empty() ? "none" : info.adapter_sha256, info.config_sha256);
  out += lines_of(info.fingerprint);
  constexpr int64_t kSamples = 5;
  constexpr std::size_t kDocuments = 3;
  for (int64_t q = 0; q < std::min(run.queries(), kSamples); ++q) {
    const auto docs = run.docs_of(q);
    const auto shown = docs.first(std::min(docs.size(), kDocuments));
    out += fmt::format("  {}: {}{}\n", printable(run.query_ids[static_cast<std::size_t>(q)]),
                       fmt::join(printable_all({shown.begin(), shown.end()}), ", "),
                       docs.size() > kDocuments ? ", .." : "");
  }
  return out;
}

std::string describe_hard_negatives(const fs::path& path) {
  const HardNegativesFile file = HardNegativesFile::open(path);
  const HardNegativesInfo& info = file.info();
  std::string out = fmt::format(
      "hard negatives\n  queries         {}\n  retrieved       {} for each, of {}\n  filters         {}\n"
      "  shortcut        {}\n  model           {}\n  model sha256    {}\n  adapter sha256  {}\n  corpus sha256   {}\n  "
      "config sha256   {}\n",
      file.queries(), info.depth, printable(info.corpus), printable(info.filters), in_words(info.prior),
      printable(info.model), info.model_sha256, info.adapter_sha256.empty() ? "none" : info.adapter_sha256,
      info.corpus_sha256, info.config_sha256);
  out += lines_of(info.fingerprint);
  constexpr int64_t kSamples = 5, kDocuments = 3;
  for (int64_t q = 0; q < std::min(file.queries(), kSamples); ++q) {
    const MinedQuery query = file.read(q);
    std::vector<std::string> docs, positives;
    for (const MinedDocument& document : query.documents)
      if (!document.positive && std::ssize(docs) < kDocuments) docs.push_back(document.id);
    for (const ScoredPositive& document : query.positives) positives.push_back(document.id);
    out += fmt::format("  {}: {}, .. of {}; gold {}\n", printable(query.id), fmt::join(printable_all(docs), ", "),
                       query.documents.size(), fmt::join(printable_all(positives), ", "));
  }
  return out;
}

std::string describe_hdf5(const fs::path& path) {
  const std::string format = Hdf5Reader(path).string_attribute("trireme_format");
  if (format == "run") return describe_run(path);
  return format == "hard_negatives" ? describe_hard_negatives(path) : describe_embeddings(path);
}

std::string describe_tensors(const fs::path& path) {
  const SafetensorsFile file(path);
  std::string out = fmt::format("safetensors: {} tensors\n", file.entries().size());
  for (const auto& [key, value] : file.metadata())
    out += fmt::format("  metadata {}: {}\n", printable(key), printable(value));
  for (const SafetensorsEntry& entry : file.entries()) {
    out += fmt::format("  {:<10}{:<20}{}\n", dtype_name(entry.dtype), shape_string(entry.shape), printable(entry.name));
  }
  return out;
}

std::string describe_records(const InspectOptions& options) {
  RecordOptions record_options;
  if (options.instructions) record_options.instructions.emplace(*options.instructions);
  record_options.allow_modality_mismatch = true;
  const RecordFile file(options.path, std::move(record_options));
  int64_t text = 0, image = 0;
  for (int64_t row = 0; row < file.size(); ++row) {
    const Record record = file.read(row);
    text += record.image.empty() ? 1 : 0;
    image += record.text.empty() ? 1 : 0;
  }
  std::string out = fmt::format("records: {}\n  text {}, image {}, image and text {}\n", file.size(), text, image,
                                file.size() - text - image);
  if (file.modality_mismatches() > 0)
    out += fmt::format("  of these {} have a modality that contradicts what they hold\n", file.modality_mismatches());
  constexpr int64_t kSamples = 10;
  for (int64_t row = 0; row < std::min(file.size(), kSamples); ++row) {
    const Record record = file.read(row);
    out += fmt::format("  {}: {}{}{}\n", printable(record.id),
                       record.image.empty() ? "" : "[" + printable(record.image) + "] ", printable(record.text),
                       record.text.empty() ? "(no text)" : "");
  }
  return out;
}

std::string inspect(const InspectOptions& options) {
  const fs::path& path = options.path;
  TRIREME_CHECK(fs::exists(path), DataError, "inspect", "the path must exist; got {}; check it.", path.string());
  if (is_run_checkpoint(path)) return describe_run_checkpoint(path);
  if (is_run_folder(path)) return describe_run_folder(path);
  if (is_prepared_dataset(path)) return describe_dataset(path);
  if (is_adapter_folder(path)) return text_of(describe_adapter(path));
  if (fs::is_directory(path)) {
    CheckpointDescription checkpoint = describe_checkpoint(path);
    checkpoint.weights_sha256 = sha256_hex_of_files(checkpoint.weight_files);
    return text_of(checkpoint);
  }
  if (path.extension() == ".h5") return describe_hdf5(path);
  if (path.extension() == ".safetensors") return describe_tensors(path);
  if (path.extension() == ".jsonl") return describe_records(options);
  throw DataError(
      "inspect",
      fmt::format("the path must be a folder of a checkpoint, an adapter, a run or a dataset, or a file that "
                  "ends in .h5, .safetensors or .jsonl; got {}; name one of these.",
                  path.string()));
}

}  // namespace

VerbAction add_inspect(Program& program) {
  auto options = std::make_shared<InspectOptions>();
  program.add("inspect", "What a checkpoint, adapter, training run, embedding, weight or record file holds.", *options);
  return [options](const LaunchInfo& launch) {
    if (launch.rank == 0) print(inspect(*options));
    return 0;
  };
}

}  // namespace trireme
