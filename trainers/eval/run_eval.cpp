#include "trainers/eval/run_eval.h"

#include <chrono>

#include "core/config/choice.h"
#include "core/elapsed.h"
#include "core/io/file.h"
#include "core/io/hash.h"
#include "retrieval/checkpoint_embedder.h"
#include "retrieval/embeddings_output.h"
#include "retrieval/report/report.h"
#include "trainers/eval/references.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::vector<Reference> references_of(const EvalConfig& config, const Benchmark& benchmark) {
  std::vector<Reference> references;
  if (config.floors) references.push_back(reference_of(*load_config<FloorTable>(*config.floors), benchmark));
  if (config.published) {
    for (Reference& reference : references_of(*load_config<PublishedTable>(*config.published), benchmark))
      references.push_back(std::move(reference));
  }
  return references;
}

/// Vectors that stay in their file.
class FileSource : public VectorSource {
 public:
  explicit FileSource(const fs::path& path) : reader_(path), source_(reader_) {}
  int64_t rows() const override { return source_.rows(); }
  int64_t dim() const override { return source_.dim(); }
  torch::Tensor read(int64_t first_row, int64_t count) const override { return source_.read(first_row, count); }
  const EmbeddingsInfo& info() const { return reader_.info(); }

 private:
  EmbeddingsReader reader_;
  EmbeddingsSource source_;
};

/// Embeds the files of a set with one checkpoint, in memory or in a folder.
class FileEmbedder {
 public:
  FileEmbedder(const EvalConfig& config, const EvalSet& set, CheckpointEmbedder& checkpoint, Communicator& communicator,
               const EvalProgress& progress)
      : config_(config),
        set_(set),
        embedder_(checkpoint.embedder(set.benchmark().image_root)),
        communicator_(communicator),
        progress_(progress) {
    info_ = {.model = config.embed.model.string(),
             .model_sha256 = checkpoint.model_sha256(communicator),
             .adapter_sha256 = checkpoint.adapter_sha256(),
             .rope_mode = std::string(choice_name(config.embed.rope_mode)),
             .config_sha256 = "",
             .normalized = true};
  }

  std::unique_ptr<VectorSource> embed(const EvalFile& file) {
    const auto begin = Clock::now();
    auto vectors = config_.embeddings ? from_folder(file) : in_memory(file);
    embed_s_ += seconds_since(begin);
    return vectors;
  }

  const EmbeddingsInfo& info() const { return info_; }
  int64_t records() const { return records_; }
  int64_t reused() const { return reused_; }
  double embed_s() const { return embed_s_; }

 private:
  EmbedProgress progress_of(const EvalFile& file) {
    const int64_t before = std::exchange(records_, records_ + file.records.size());
    // A rank's share is told as its part of the file, so that the sum over files ends at the total.
    return [this, before, size = file.records.size()](int64_t done, int64_t of) {
      progress_("embed", before + (of > 0 ? done * size / of : size), set_.records_to_embed());
    };
  }

  std::unique_ptr<VectorSource> in_memory(const EvalFile& file) {
    return std::make_unique<TensorSource>(embed_in_memory(embedder_, file.records, communicator_, progress_of(file)));
  }

  std::unique_ptr<VectorSource> from_folder(const EvalFile& file) {
    const fs::path records = set_.benchmark().root / file.path;
    std::string name = file.path.string();
    std::replace(name.begin(), name.end(), '/', '.');
    const fs::path path = *config_.embeddings / (name + ".h5");
    EmbeddingsInfo info = info_;
    const std::string of = config_sha256(config_.embed) + sha256_hex_of_files(std::span(&records, 1)) +
                           set_.instruction() + std::string(choice_name(config_.store));
    info.config_sha256 = sha256_hex(std::as_bytes(std::span(of)));
    // Rank 0 decides for all, before any rank writes.
    auto usable = torch::zeros({1}, torch::kInt64);
    if (communicator_.rank() == 0 && fs::exists(path)) usable[0] = is_of(path, info, file) ? 1 : 0;
    communicator_.broadcast(usable, 0).wait();
    if (usable.item<int64_t>() == 1) {
      reused_ += file.records.size();
    } else {
      write(path, file, info);
    }
    return std::make_unique<FileSource>(path);
  }

  static bool is_of(const fs::path& path, const EmbeddingsInfo& wanted, const EvalFile& file) {
    const FileSource source(path);
    EmbeddingsInfo found = source.info();
    found.model = wanted.model;  // the folder may have moved; the hash tells
    return found == wanted && source.rows() == file.records.size();
  }

  void write(const fs::path& path, const EvalFile& file, const EmbeddingsInfo& info) {
    EmbeddingsOutput output(path, file.records.size(), embedder_.model.config.decoder.hidden_size,
                            torch_dtype(config_.store), communicator_);
    embed_share(
        embedder_, file.records, communicator_,
        [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
          output.write(first_row, ids, rows);
        },
        progress_of(file));
    output.commit(info);
  }

  const EvalConfig& config_;
  const EvalSet& set_;
  Embedder embedder_;
  Communicator& communicator_;
  const EvalProgress& progress_;
  EmbeddingsInfo info_;
  int64_t records_ = 0, reused_ = 0;
  double embed_s_ = 0;
};

void write_file(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

void write_outputs(const fs::path& out, const EvalResults& results, Gallery gallery) {
  write_file(out / "results.json", results_json(results));
  write_file(out / "gallery.json", gallery_json(gallery));
  write_file(
      out / "report.html",
      report_html({.results = {results}, .curves = {}, .gallery = LabelledGallery{results.label, std::move(gallery)}}));
}

}  // namespace

EvalReport run_eval(const Resolved<EvalConfig>& config, Communicator& communicator, const EvalProgress& progress,
                    c10::Device device) {
  const auto begin = Clock::now();
  // Check everything that can be wrong before a weight is read.
  Benchmark benchmark = read_benchmark(config->benchmark);
  resolve_metrics(config->metrics, benchmark);
  std::vector<Reference> references = references_of(*config, benchmark);
  CheckpointEmbedder checkpoint(config->embed, device);
  const EvalSet set(std::move(benchmark), config->queries);
  for (const auto& file : set.files()) checkpoint.require_fits(file->records, set.benchmark().image_root);
  fs::create_directories(config->out);
  if (config->embeddings) fs::create_directories(*config->embeddings);
  checkpoint.load(communicator);

  EvalReport report;
  for (const EvalSearch& search : set.searches()) report.missing_positives += search.missing;
  FileEmbedder embedder(*config, set, checkpoint, communicator, progress);
  report.prepare_s = seconds_since(begin);
  const auto work_begin = Clock::now();
  const bool writes = communicator.rank() == 0;
  GalleryBuilder gallery(set, config->gallery, config->metrics.depth);
  int64_t searched = 0;
  report.results.table = evaluate(
      set, config->metrics, [&](const EvalFile& file) { return embedder.embed(file); }, communicator,
      [&](const EvalSearch& search, const Neighbours& found, const TaskMetrics&) {
        if (writes) gallery.add(search, found);
        progress("search", ++searched, std::ssize(set.searches()));
      });
  report.embed_s = embedder.embed_s();
  report.search_s = seconds_since(work_begin) - report.embed_s;
  report.records = embedder.records();
  report.reused = embedder.reused();
  report.results.label = config->label;
  report.results.benchmark = fmt::format("{}, {}", set.benchmark().name, config->benchmark.split);
  report.results.model = config->embed.model.string();
  report.results.model_sha256 = embedder.info().model_sha256;
  report.results.adapter_sha256 = embedder.info().adapter_sha256;
  report.results.config_sha256 = config.sha256();
  report.results.instruction = set.instruction();
  report.results.depth = config->metrics.depth;
  report.results.references = std::move(references);
  if (writes) write_outputs(config->out, report.results, gallery.take());
  communicator.barrier();
  return report;
}

}  // namespace trireme
