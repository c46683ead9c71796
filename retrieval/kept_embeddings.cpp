#include "retrieval/kept_embeddings.h"

#include <optional>

#include "core/distributed/agreement.h"
#include "retrieval/embeddings_output.h"
#include "retrieval/fingerprint_of.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSame = "same", kSameButPictures = "pictures?";

/// Why embeddings with `found` are not those that `wanted` asks for; "" when they are, pictures apart.
std::string difference(const EmbeddingsInfo& found, const EmbeddingsInfo& wanted) {
  if (found.fingerprint.empty()) return "what it follows from is not known (a file of format version 1)";
  std::vector<FingerprintPart> parts = differing_parts(found.fingerprint, wanted.fingerprint, all_fingerprint_parts());
  std::erase(parts, FingerprintPart::kPictures);
  if (!parts.empty()) return difference_of(found.fingerprint, wanted.fingerprint, parts);
  if (found.config_sha256 != wanted.config_sha256) return "options differ";
  return "";
}

/// The file there, as far as it can be compared without reading pictures.
struct Found {
  std::string verdict;  ///< kSame, kSameButPictures, "" without a file, or why it is not used
  EmbeddingsInfo info{};
};

Found look_at(const fs::path& path, const EmbeddingsInfo& wanted, int64_t rows, StoreDtype store,
              OnDataError on_error) {
  if (!fs::exists(path)) return {""};
  const EmbeddingsReader file(path);
  std::string why = difference(file.info(), wanted);
  const int64_t skipped = std::ssize(file.skipped());
  if (why.empty() && skipped > 0 && on_error == OnDataError::kStop) why = "records were skipped";
  if (why.empty() && file.rows() + skipped != rows) why = "the number of records differs";
  if (why.empty() && file.dtype() != torch_dtype(store)) why = "the stored type differs";
  if (!why.empty()) return {std::move(why)};
  const bool same_stamps = file.info().picture_stamps == wanted.picture_stamps;
  // What could not be read then may be whole now.
  if (!same_stamps && skipped > 0) return {"pictures differ"};
  return {std::string(same_stamps ? kSame : kSameButPictures), file.info()};
}

/// Rank 0's, on every rank.
Found agreed(const Found& found, Communicator& communicator) {
  Found all{broadcast_string(communicator, found.verdict, 0)};
  all.info.fingerprint =
      Fingerprint::from_json(broadcast_string(communicator, found.info.fingerprint.json(), 0), "kept");
  return all;
}

}  // namespace

KeptFile keep_embeddings(const fs::path& path, const RecordFile& records, const Embedder& embedder,
                         const KeptEmbeddings& kept, Communicator& communicator, const EmbedSkipped& skip,
                         const EmbedProgress& progress) {
  const OnDataError on_error = embedder.loader.on_error;
  const auto digest = [&](PictureFacts facts) {
    return digest_pictures(records, embedder.loader.image_root, facts, on_error, communicator).text();
  };
  const bool has_pictures = records.first_image_row().has_value();
  EmbeddingsInfo info = kept.info;
  info.config_sha256 = kept.config_sha256;
  info.fingerprint = with_records(std::move(info.fingerprint), records, communicator);
  // Before anything is embedded: who changes a picture meanwhile changes its stamp.
  if (has_pictures) info.picture_stamps = digest(PictureFacts::kStamp);
  // Rank 0 decides for all, before any rank writes.
  Found found = agreed(communicator.rank() == 0 ? look_at(path, info, records.size(), kept.store, on_error) : Found{},
                       communicator);
  if (found.verdict == kSameButPictures) {
    const std::string content = digest(PictureFacts::kContent);
    const bool same = found.info.fingerprint.get(FingerprintPart::kPictures) == content;
    found.verdict = same ? kSame : "pictures differ";
  }
  if (found.verdict == kSame) return {.reused = true, .replaced = "", .fingerprint = std::move(found.info.fingerprint)};
  EmbeddingsOutput output(path, records.size(), embedder.model.config.decoder.hidden_size, torch_dtype(kept.store),
                          communicator, on_error == OnDataError::kSkip);
  const EmbedCounts counts = embed_share(
      embedder, records, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
        output.write(first_row, ids, rows);
      },
      [&](const SkippedRow& record) {
        output.skip(record);
        if (skip) skip(record);
      },
      progress);
  if (has_pictures) info.fingerprint.set(FingerprintPart::kPictures, summed(counts.pictures, communicator).text());
  output.commit(info);
  return {.reused = false, .replaced = std::move(found.verdict), .fingerprint = std::move(info.fingerprint)};
}

}  // namespace trireme
