#pragma once

#include <filesystem>
#include <string>

#include "core/dist/communicator.h"
#include "core/io/embeddings_file.h"
#include "data/sources/records.h"
#include "retrieval/embed.h"

namespace trireme {

/// What embeddings in a file depend on beside the records.
struct KeptEmbeddings {
  EmbeddingsInfo info;  ///< of the retriever; config_sha256 is set when a file is written
  std::string options;  ///< text in which every option that changes values shows: config_sha256 and instructions
  StoreDtype store = StoreDtype::kFloat32;
};

/// Makes `path` the embeddings of all records: embeds them, unless the file there is of the same retriever, options and
/// contents of `records_file` already. Returns whether it was.
/// A file in which records are skipped is taken under embedder.loader.on_error: skip only.
/// collective: every rank enters; rank 0 decides. throws what embed_share() and EmbeddingsOutput throw; DataError: the
/// file there is no whole embeddings file.
bool keep_embeddings(const std::filesystem::path& path, const RecordFile& records,
                     const std::filesystem::path& records_file, const Embedder& embedder, const KeptEmbeddings& kept,
                     Communicator& communicator, const EmbedSkipped& skip, const EmbedProgress& progress);

}  // namespace trireme
