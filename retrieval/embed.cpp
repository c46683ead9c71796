#include "retrieval/embed.h"

#include <chrono>

#include "answering/fingerprint_of.h"
#include "core/config/field_list.h"
#include "core/distributed/agreement.h"
#include "core/elapsed.h"
#include "retrieval/checkpoint_embedder.h"
#include "retrieval/embeddings_output.h"

namespace trireme {

void EmbedOptions::describe(FieldList& v) {
  v.field("records", records, "jsonl file: plain {id, txt, img_path}, or M-BEIR queries or candidates.")
      .required()
      .no_effect_on_values();
  v.field("out", out, "HDF5 file to write; replaced only on success.").required().no_effect_on_values();
  v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
      .no_effect_on_values();
  v.field("instructions", instructions, "M-BEIR's query_instructions.tsv; needed for M-BEIR queries.")
      .no_effect_on_values();
  v.field("prompt_number", prompt_number, "Which instruction of a query's kind is used, from 1.").at_least(1);
  v.field("store", store, "Embeddings in the file.");
  // The rows that are written are the same under all of these.
  v.field("on_error", on_error,
          "What happens when a record cannot be read. skip: it gets no row; the file names it and why.")
      .no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of the image root.")
      .no_effect_on_values();
  v.field("allow_modality_mismatch", allow_modality_mismatch,
          "M-BEIR records whose modality contradicts what they hold are taken as they are, instructed by what it "
          "says, and counted.")
      .no_effect_on_values();
}
static_assert(field_count<EmbedOptions>() == 9, "describe() must list every field");

void EmbedVerbConfig::describe(FieldList& v) {
  v.field("embedder", embedder, "Which weights embed, and how.");
  v.field("embed", embed, "What is embedded, and where to.");
}
static_assert(field_count<EmbedVerbConfig>() == 2, "describe() must list every field");
namespace {

RecordFile open_records(const EmbedOptions& options) {
  RecordOptions record_options{std::nullopt, options.prompt_number};
  record_options.allow_modality_mismatch = options.allow_modality_mismatch;
  if (options.instructions) record_options.instructions.emplace(*options.instructions);
  return RecordFile(options.records, std::move(record_options));
}

}  // namespace

c10::ScalarType torch_dtype(StoreDtype dtype) {
  return dtype == StoreDtype::kFloat32 ? torch::kFloat32 : torch::kFloat16;
}

EmbedReport embed_records(const RecordModelConfig& config, const EmbedOptions& options,
                          const std::string& config_sha256, Communicator& communicator, const EmbedProgress& progress,
                          c10::Device device, const EmbedSkipped& skipped) {
  const auto begin = std::chrono::steady_clock::now();
  // Check everything that can be wrong before a weight is read.
  CheckpointEmbedder embedder(config, device);
  const RecordFile records = open_records(options);
  const ImageRoot image_root(options.image_root.value_or(""), options.follow_links);
  embedder.require_fits(records, image_root);
  EmbeddingsOutput output(options.out, records.size(), embedder.dim(), torch_dtype(options.store), communicator,
                          options.on_error == OnDataError::kSkip);
  embedder.load(communicator);

  EmbedReport report{.records_global = records.size(),
                     .modality_mismatches = records.modality_mismatches(),
                     .prepare_s = seconds_since(begin),
                     .unused = embedder.unused()};
  report.counts = embedder.embed(
      {records, image_root, options.on_error}, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
        output.write(first_row, ids, rows);
      },
      [&](const SkippedRow& record) {
        output.skip(record);
        if (skipped) skipped(record);
      },
      progress);
  EmbeddingsInfo info = embedder.info(communicator);
  info.config_sha256 = config_sha256;
  info.fingerprint = with_records(std::move(info.fingerprint), records, communicator);
  if (records.first_image_row())
    info.fingerprint.set(FingerprintPart::kPictures, summed(report.counts.pictures, communicator).text());
  output.commit(info);
  for (const int64_t of_rank : all_gather_int64(communicator, report.counts.skipped)) report.skipped_global += of_rank;
  return report;
}

}  // namespace trireme
