#include "evaluation/run_eval.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>

#include "answering/fingerprint_of.h"
#include "core/elapsed.h"
#include "core/io/file.h"
#include "evaluation/references.h"
#include "evaluation/reranked_columns.h"
#include "retrieval/checkpoint_embedder.h"
#include "retrieval/kept_embeddings.h"
#include "retrieval/report/report.h"

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
  std::vector<SkippedRow> skipped() const { return reader_.skipped(); }

 private:
  EmbeddingsReader reader_;
  EmbeddingsSource source_;
};

/// What was embedded so far, of all sets.
struct EmbedTotals {
  int64_t records_to_embed = 0;  ///< in all
  int64_t records = 0, reused = 0;
  std::vector<SkippedRow> skipped{};
  double embed_s = 0;
  std::vector<std::string> replaced{};
};

/// Embeds the files of a set, in memory or in a folder.
class SetEmbedder {
 public:
  /// info: CheckpointEmbedder::info().
  SetEmbedder(const EvalConfig& config, EvalSet& set, const Embedder& embedder, EmbeddingsInfo info,
              EmbedTotals& totals, Communicator& communicator, const EvalProgress& progress)
      : config_(config),
        set_(set),
        embedder_(embedder),
        info_(std::move(info)),
        totals_(totals),
        communicator_(communicator),
        progress_(progress) {}
  /// Of what was embedded so far.
  Fingerprint fingerprint() const {
    std::vector<Fingerprint> files;
    for (const auto& [path, fingerprint] : fingerprints_) files.push_back(fingerprint);
    return combined(files);
  }

  /// All files; what cannot be read is left out of the set.
  SetVectors embed() {
    const auto begin = Clock::now();
    SetVectors vectors(set_.files().size());
    std::vector<std::vector<int64_t>> skipped(vectors.size());
    for (std::size_t i = 0; i < vectors.size(); ++i) {
      const EvalFile& file = *set_.files()[i];
      if (file.part_of) continue;
      Embedded embedded = config_.embeddings ? from_folder(file) : in_memory(file);
      vectors[i] = std::move(embedded.vectors);
      for (SkippedRow& each : embedded.skipped) {
        skipped[i].push_back(each.row);
        totals_.skipped.push_back(std::move(each));
      }
    }
    if (!totals_.skipped.empty()) set_.leave_out(skipped);
    totals_.embed_s += seconds_since(begin);
    return vectors;
  }

 private:
  struct Embedded {
    std::unique_ptr<VectorSource> vectors;
    std::vector<SkippedRow> skipped;
  };
  RecordsToEmbed records_of(const EvalFile& file) const {
    return {file.records, set_.benchmark().image_root, config_.on_error};
  }
  EmbedProgress progress_of(const EvalFile& file) const {
    // A rank's share is told as its part of the file, so that the sum over files ends at the total.
    return [this, before = totals_.records, size = file.records.size()](int64_t done, int64_t of) {
      progress_("embed", before + (of > 0 ? done * size / of : size), totals_.records_to_embed);
    };
  }

  Embedded in_memory(const EvalFile& file) {
    EmbeddedFile embedded = embed_in_memory(embedder_, records_of(file), communicator_, progress_of(file));
    totals_.records += file.records.size();
    Fingerprint& fingerprint = fingerprints_[file.path];
    fingerprint = with_records(info_.fingerprint, file.records, communicator_);
    if (file.records.first_image_row()) fingerprint.set(FingerprintPart::kPictures, embedded.pictures.text());
    return {std::make_unique<TensorSource>(std::move(embedded.rows)), std::move(embedded.skipped)};
  }

  Embedded from_folder(const EvalFile& file) {
    std::string name = file.path.string();
    std::replace(name.begin(), name.end(), '/', '.');
    const fs::path path = *config_.embeddings / (name + ".h5");
    KeptFile kept =
        keep_embeddings(path, records_of(file), embedder_, {info_, config_sha256(config_.embed), config_.store},
                        communicator_, progress_of(file));
    (kept.reused ? totals_.reused : totals_.records) += file.records.size();
    if (!kept.replaced.empty())
      totals_.replaced.push_back(fmt::format("{} was embedded anew: {}", path.string(), kept.replaced));
    fingerprints_[file.path] = std::move(kept.fingerprint);
    auto source = std::make_unique<FileSource>(path);
    std::vector<SkippedRow> skipped = source->skipped();
    return {std::move(source), std::move(skipped)};
  }

  const EvalConfig& config_;
  EvalSet& set_;
  const Embedder& embedder_;
  EmbeddingsInfo info_;
  EmbedTotals& totals_;
  Communicator& communicator_;
  const EvalProgress& progress_;
  std::map<fs::path, Fingerprint> fingerprints_;  ///< by the file's path in the benchmark
};

/// Each column's numbers and examples in a folder of its own, the first one's in `out`; all in one page.
void write_outputs(const fs::path& out, const std::vector<EvalResults>& columns, std::vector<Gallery> galleries) {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const fs::path folder = columns[i].reranked_by ? out / fmt::format("{}_{}", i, columns[i].reranked_by->mode) : out;
    fs::create_directories(folder);
    write_text_file(folder / "results.json", results_json(columns[i]));
    write_text_file(folder / "gallery.json", gallery_json(galleries[i]));
  }
  write_text_file(out / "report.html",
                  report_html({.results = columns,
                               .curves = {},
                               .gallery = LabelledGallery{columns.back().label, std::move(galleries.back())}}));
}

}  // namespace

EvalReport run_eval(const Resolved<EvalConfig>& config, Communicator& communicator, const EvalProgress& progress,
                    c10::Device device) {
  const auto begin = Clock::now();
  // Check everything that can be wrong before a weight is read.
  Benchmark benchmark = read_benchmark(config->benchmark);
  resolve_metrics(config->metrics, benchmark);
  std::vector<Reference> references = references_of(*config, benchmark);
  CheckpointEmbedder embedder(config->embed, device);
  EvalSet set(std::move(benchmark), config->queries);
  for (const auto& file : set.files()) embedder.require_fits(file->records, set.benchmark().image_root);
  std::optional<RerankedColumns> reranked;
  if (config->rerank) reranked.emplace(*config, set, communicator, progress, device);
  if (reranked && reranked->fit_set())
    for (const auto& file : reranked->fit_set()->files())
      embedder.require_fits(file->records, set.benchmark().image_root);
  fs::create_directories(config->out);
  if (config->embeddings) fs::create_directories(*config->embeddings);
  embedder.load(communicator);

  EvalReport report;
  report.modality_mismatches = set.modality_mismatches();
  const EmbeddingsInfo info = embedder.info(communicator);
  report.unused = embedder.unused();
  if (reranked) std::ranges::move(reranked->load(info), std::back_inserter(report.unused));
  EmbedTotals totals{.records_to_embed = set.records_to_embed()};
  if (reranked && reranked->fit_set()) totals.records_to_embed += reranked->fit_set()->records_to_embed();
  report.prepare_s = seconds_since(begin);
  const auto work_begin = Clock::now();
  if (reranked && reranked->fit_set()) {
    reranked->fit(SetEmbedder(*config, *reranked->fit_set(), embedder, info, totals, communicator, progress).embed());
  }
  const bool writes = communicator.rank() == 0;
  std::vector<GalleryBuilder> galleries(1 + (reranked ? config->rerank->modes.size() : 0),
                                        GalleryBuilder(set, config->gallery, config->metrics.depth));
  const auto skipped_for_fit = static_cast<std::ptrdiff_t>(totals.skipped.size());
  SetEmbedder set_embedder(*config, set, embedder, info, totals, communicator, progress);
  const SetVectors vectors = set_embedder.embed();
  for (const EvalSearch& search : set.searches()) report.missing_positives += search.missing;
  ReorderLists reorder;
  if (reranked)
    reorder = [&](const EvalSearch& search, const Neighbours& found) { return reranked->reorder(search, found); };
  int64_t searched = 0;
  const std::vector<ResultTable> tables =
      evaluate_columns(set, config->metrics, vectors, reorder, communicator,
                       [&](const EvalSearch& search, std::size_t column, const Neighbours& lists, const TaskMetrics&) {
                         if (writes) galleries[column].add(search, lists);
                         if (!reranked) progress("search", ++searched, std::ssize(set.searches()));
                       });
  report.embed_s = totals.embed_s;
  report.rerank = reranked ? reranked->report() : RerankEvalReport{};
  report.search_s = seconds_since(work_begin) - report.embed_s - report.rerank.score_s;
  report.records = totals.records;
  report.reused = totals.reused;
  report.skipped = std::move(totals.skipped);
  report.replaced = std::move(totals.replaced);
  for (std::size_t column = 0; column < tables.size(); ++column) {
    EvalResults results{.label = config->label,
                        .benchmark = fmt::format("{}, {}", set.benchmark().name, config->benchmark.split),
                        .model = config->embed.path.string(),
                        .model_sha256 = info.model_sha256,
                        .adapter_sha256 = info.adapter_sha256,
                        .config_sha256 = config.sha256(),
                        .instruction = set.instruction(),
                        .depth = config->metrics.depth,
                        .table = tables[column],
                        .references = references,
                        .skipped = {},
                        .fingerprint = set_embedder.fingerprint()};
    for (auto each = report.skipped.begin() + skipped_for_fit; each != report.skipped.end(); ++each)
      results.skipped.push_back(each->id);
    if (column > 0) {
      results.reranked_by = reranked->reranked_by(config->rerank->modes[column - 1]);
      results.label += " + " + results.reranked_by->mode;
    }
    report.columns.push_back(std::move(results));
  }
  if (writes) {
    std::vector<Gallery> shown;
    for (GalleryBuilder& gallery : galleries) shown.push_back(gallery.take());
    write_outputs(config->out, report.columns, std::move(shown));
    if (reranked) reranked->write();
  }
  communicator.barrier();
  return report;
}

}  // namespace trireme
