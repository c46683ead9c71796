#include "retrieval/embed.h"

#include <chrono>
#include <future>

#include <ATen/ops/empty.h>
#include <c10/core/InferenceMode.h>

#include "core/config/choice.h"
#include "core/error.h"
#include "core/io/embeddings_file.h"
#include "core/io/hash.h"
#include "data/loader/record_loader.h"
#include "data/tokenizer/tokenizer.h"
#include "models/qwen2_vl.h"
#include "models/weights/adapter.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

c10::ScalarType torch_dtype(ComputeDtype dtype) {
  return dtype == ComputeDtype::kFloat32 ? torch::kFloat32 : torch::kBFloat16;
}
c10::ScalarType torch_dtype(StoreDtype dtype) {
  return dtype == StoreDtype::kFloat32 ? torch::kFloat32 : torch::kFloat16;
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/// The checkpoint's image preprocessing with the caller's pixel limits, checked against the vision tower it feeds.
std::optional<ImageProcessorConfig> image_processor_of(const EmbedOptions& options, const ModelConfig& config) {
  if (!config.vision) return std::nullopt;
  ImageProcessorConfig processor = read_image_processor_config(options.model);
  processor.min_pixels = options.min_pixels.value_or(processor.min_pixels);
  processor.max_pixels = options.max_pixels.value_or(processor.max_pixels);
  TRIREME_CHECK(processor.min_pixels <= processor.max_pixels, ConfigError, "embed",
                "min_pixels must be at most max_pixels; got {} and {}; change --min-pixels or --max-pixels.",
                processor.min_pixels, processor.max_pixels);
  const VisionConfig& vision = *config.vision;
  TRIREME_CHECK(
      processor.patch_size == vision.patch_size && processor.merge_size == vision.merge_size &&
          processor.temporal_patch_size == vision.temporal_patch_size,
      DataError, options.model.string(),
      "preprocessor_config.json must cut patches as config.json's vision_config says (patch, merge, temporal); "
      "got {}, {}, {} and {}, {}, {}; take both files from the same checkpoint.",
      processor.patch_size, processor.merge_size, processor.temporal_patch_size, vision.patch_size, vision.merge_size,
      vision.temporal_patch_size);
  return processor;
}

RecordFile open_records(const EmbedOptions& options, const ModelConfig& config) {
  RecordOptions record_options{std::nullopt, options.prompt_number};
  if (options.instructions) record_options.instructions.emplace(*options.instructions);
  RecordFile records(options.records, std::move(record_options));
  const auto image_row = records.first_image_row();
  if (!image_row) return records;
  TRIREME_CHECK(config.vision.has_value(), DataError, records.where(*image_row),
                "a text-only model ({}) takes records without images; got {}; use a vision-language checkpoint.",
                family_name(config.family), records.read(*image_row).image);
  TRIREME_CHECK(options.image_root && fs::is_directory(*options.image_root), DataError, records.where(*image_row),
                "a record with an image needs the folder of the images; got {}; give --image-root DIR.",
                options.image_root ? options.image_root->string() + ", which is no folder" : "none");
  return records;
}

/// The same 64 characters on every rank: rank 0's.
std::string broadcast_sha256(std::string sha256, Communicator& communicator) {
  constexpr int64_t kDigits = 64;
  sha256.resize(kDigits);
  auto bytes = torch::from_blob(sha256.data(), {kDigits}, torch::kUInt8).clone();
  communicator.broadcast(bytes, 0).wait();
  return {reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()), static_cast<std::size_t>(kDigits)};
}

/// sha256 of the weights, computed on a thread of its own while the model works; large checkpoints take seconds.
std::future<std::string> hash_weights(const HubCheckpoint& checkpoint, const Communicator& communicator) {
  if (communicator.rank() != 0) return {};
  return std::async(std::launch::async, [files = checkpoint.weight_files()] { return sha256_hex_of_files(files); });
}

/// Takes this rank's part away when the job ends before rank 0 has joined the parts (which removes them).
class PartFile {
 public:
  explicit PartFile(fs::path path) : path_(std::move(path)) {}
  ~PartFile() {
    std::error_code absent;
    fs::remove(path_, absent);
  }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

 private:
  fs::path path_;
};

}  // namespace

EmbedReport embed_records(const EmbedOptions& options, const std::string& config_sha256, Communicator& communicator,
                          const std::function<void(int64_t done, int64_t of)>& progress) {
  const auto begin = Clock::now();
  const bool alone = communicator.size() == 1;

  // Check everything that can be wrong before a weight is read.
  HubCheckpoint checkpoint(options.model);
  const ModelConfig& config = checkpoint.config();
  std::optional<Adapter> adapter;
  if (options.adapter) adapter = read_adapter(*options.adapter, config);
  RecordLoaderOptions loader_options{
      .image_root = options.image_root.value_or(""),
      .image_processor = image_processor_of(options, config),
      .alpha = options.alpha,
      .pack = {.rope_mode = options.rope_mode, .image_token_id = config.image_token_id},
      .records_per_block = options.block_records,
      .tokens_per_batch = options.batch_tokens,
      .threads = options.loader_threads,
  };
  if (config.vision) loader_options.pack.merge_size = config.vision->merge_size;
  const Tokenizer tokenizer = Tokenizer::from_file(options.model / "tokenizer.json");
  const ChatEncoder encoder(tokenizer, config.image_token_id, options.system_prompt);
  const RecordFile records = open_records(options, config);
  const auto rank = static_cast<int>(communicator.rank());
  const PartFile part(embeddings_part_path(options.out, rank));
  EmbeddingsWriter writer(alone ? options.out : embeddings_part_path(options.out, rank), records.size(),
                          config.decoder.hidden_size, torch_dtype(options.store),
                          alone ? EmbeddingsFileKind::kWhole : EmbeddingsFileKind::kPart);

  RecordLoader loader(records, encoder, std::move(loader_options), communicator.rank(), communicator.size());
  Model model = load_model(checkpoint, {.dtype = torch_dtype(options.dtype)});
  if (adapter) attach_adapter(model, *adapter);
  std::future<std::string> weights_sha256 = hash_weights(checkpoint, communicator);

  EmbedReport report{.records_global = records.size(), .prepare_s = seconds_since(begin)};
  const auto embed_begin = Clock::now();
  {
    const c10::InferenceMode no_gradient;
    while (auto loaded = loader.next()) {
      writer.write(loaded->first_row, loaded->ids, embed(model, loaded->batch));
      report.records += std::ssize(loaded->ids);
      report.tokens += loaded->batch.tokens.size(0);
      report.images += loaded->batch.grid.size(0);
      ++report.batches;
      progress(report.records, loader.records());
    }
  }
  report.embed_s = seconds_since(embed_begin);
  report.data_wait_s = loader.waited_s();

  writer.commit({.model = options.model.string(),
                 .model_sha256 = broadcast_sha256(rank == 0 ? weights_sha256.get() : "", communicator),
                 .adapter_sha256 = adapter ? adapter->sha256 : "",
                 .rope_mode = std::string(choice_name(options.rope_mode)),
                 .config_sha256 = config_sha256,
                 .normalized = true});
  if (alone) return report;
  communicator.barrier();
  if (rank == 0) {
    std::vector<fs::path> parts;
    for (int r = 0; r < communicator.size(); ++r) parts.push_back(embeddings_part_path(options.out, r));
    join_embedding_parts(parts, options.out);
  }
  communicator.barrier();
  return report;
}

}  // namespace trireme
