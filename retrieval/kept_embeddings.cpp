#include "retrieval/kept_embeddings.h"

#include "core/config/choice.h"
#include "core/dist/agreement.h"
#include "core/io/hash.h"
#include "retrieval/embeddings_output.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

bool is_of(const fs::path& path, const EmbeddingsInfo& wanted, int64_t rows, OnDataError on_error) {
  if (!fs::exists(path)) return false;
  const EmbeddingsReader file(path);
  EmbeddingsInfo found = file.info();
  const int64_t skipped = std::ssize(file.skipped());
  if (skipped > 0 && on_error == OnDataError::kStop) return false;
  found.model = wanted.model;  // the folder may have moved; the hash tells
  return found == wanted && file.rows() + skipped == rows;
}

}  // namespace

bool keep_embeddings(const fs::path& path, const RecordFile& records, const fs::path& records_file,
                     const Embedder& embedder, const KeptEmbeddings& kept, Communicator& communicator,
                     const EmbedSkipped& skip, const EmbedProgress& progress) {
  EmbeddingsInfo info = kept.info;
  const std::string of =
      kept.options + sha256_hex_of_files(std::span(&records_file, 1)) + std::string(choice_name(kept.store));
  info.config_sha256 = sha256_hex(std::as_bytes(std::span(of)));
  // Rank 0 decides for all, before any rank writes.
  const bool found = communicator.rank() == 0 && is_of(path, info, records.size(), embedder.loader.on_error);
  if (broadcast_int64s(communicator, {int64_t{found}}, 0).at(0) == 1) return true;
  EmbeddingsOutput output(path, records.size(), embedder.model.config.decoder.hidden_size, torch_dtype(kept.store),
                          communicator, embedder.loader.on_error == OnDataError::kSkip);
  embed_share(
      embedder, records, communicator,
      [&](int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
        output.write(first_row, ids, rows);
      },
      [&](const SkippedRow& record) {
        output.skip(record);
        if (skip) skip(record);
      },
      progress);
  output.commit(info);
  return false;
}

}  // namespace trireme
