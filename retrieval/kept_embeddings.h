#pragma once

#include <filesystem>
#include <string>

#include "core/distributed/communicator.h"
#include "core/io/embeddings_file.h"
#include "retrieval/embed.h"

namespace trireme {

/// What embeddings in a file depend on beside the records.
struct KeptEmbeddings {
  EmbeddingsInfo info;        ///< CheckpointEmbedder::info()
  std::string config_sha256;  ///< over every option that changes values
  StoreDtype store = StoreDtype::kFloat32;
};

/// What there is at the path now.
struct KeptFile {
  bool reused = false;      ///< it was there already
  std::string replaced;     ///< why another one was not used: "tokenizer differs"; "" when there was none
  Fingerprint fingerprint;  ///< of the embeddings, records and images included
};

/// Makes `path` the embeddings of all records: embeds them, unless the file there follows from the same already (its
/// fingerprint; the contents of images are read again only where a file's stamp tells that it may have changed).
/// A file in which records are skipped is taken under on_error: skip only.
/// collective: every rank enters; rank 0 decides. throws what the embedder and EmbeddingsOutput throw; DataError: the
/// file there is no whole embeddings file, an image is missing.
KeptFile keep_embeddings(const std::filesystem::path& path, const RecordsToEmbed& what, const Embedder& embedder,
                         const KeptEmbeddings& kept, Communicator& communicator, const EmbedProgress& progress);

}  // namespace trireme
