#include "retrieval/kept_embeddings.h"

#include <optional>

#include "answering/fingerprint_of.h"
#include "core/distributed/agreement.h"
#include "retrieval/embeddings_output.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSame = "same", kSameButImages = "pictures?";

/// Why embeddings with `found` are not those that `wanted` asks for; "" when they are, images apart.
std::string difference(const EmbeddingsInfo& found, const EmbeddingsInfo& wanted) {
  if (found.fingerprint.empty()) return "what it follows from is not known (a file of format version 1)";
  std::vector<FingerprintPart> parts = differing_parts(found.fingerprint, wanted.fingerprint, all_fingerprint_parts());
  std::erase(parts, FingerprintPart::kPictures);
  if (!parts.empty()) return difference_of(found.fingerprint, wanted.fingerprint, parts);
  if (found.config_sha256 != wanted.config_sha256) return "options differ";
  return "";
}

/// The file there, as far as it can be compared without reading images.
struct Found {
  std::string verdict;  ///< kSame, kSameButImages, "" without a file, or why it is not used
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
  return {std::string(same_stamps ? kSame : kSameButImages), file.info()};
}

/// Rank 0's, on every rank.
Found agreed(const Found& found, Communicator& communicator) {
  Found all{broadcast_string(communicator, found.verdict, 0)};
  all.info.fingerprint =
      Fingerprint::from_json(broadcast_string(communicator, found.info.fingerprint.json(), 0), "kept");
  return all;
}

}  // namespace

KeptFile keep_embeddings(const fs::path& path, const RecordsToEmbed& what, const Embedder& embedder,
                         const KeptEmbeddings& kept, Communicator& communicator, const EmbedProgress& progress) {
  const RecordFile& records = what.records;
  const OnDataError on_error = what.on_error;
  const auto digest = [&](ImageFacts facts) {
    return digest_images(records, what.image_root, facts, on_error, communicator).text();
  };
  const bool has_images = records.first_image_row().has_value();
  EmbeddingsInfo info = kept.info;
  info.config_sha256 = kept.config_sha256;
  info.fingerprint = with_records(std::move(info.fingerprint), records, communicator);
  // Before anything is embedded: who changes an image meanwhile changes its stamp.
  if (has_images) info.picture_stamps = digest(ImageFacts::kStamp);
  // Rank 0 decides for all, before any rank writes.
  Found found = agreed(communicator.rank() == 0 ? look_at(path, info, records.size(), kept.store, on_error) : Found{},
                       communicator);
  if (found.verdict == kSameButImages) {
    const std::string content = digest(ImageFacts::kContent);
    const bool same = found.info.fingerprint.get(FingerprintPart::kPictures) == content;
    found.verdict = same ? kSame : "pictures differ";
  }
  if (found.verdict == kSame) return {.reused = true, .replaced = "", .fingerprint = std::move(found.info.fingerprint)};
  EmbeddingsOutput output(path, records.size(), embedder.dim(), torch_dtype(kept.store), communicator,
                          on_error == OnDataError::kSkip);
  const EmbedCounts counts = embedder.embed(
      what, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
        output.write(first_row, ids, rows);
      },
      [&](const SkippedRow& record) { output.skip(record); }, progress);
  if (has_images) info.fingerprint.set(FingerprintPart::kPictures, summed(counts.pictures, communicator).text());
  output.commit(info);
  return {.reused = false, .replaced = std::move(found.verdict), .fingerprint = std::move(info.fingerprint)};
}

}  // namespace trireme
