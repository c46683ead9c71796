#include "retrieval/embeddings_output.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

fs::path part_of(const fs::path& out, const Communicator& communicator) {
  return embeddings_part_path(out, static_cast<int>(communicator.rank()));
}

}  // namespace

EmbeddingsOutput::EmbeddingsOutput(fs::path out, int64_t rows, int64_t dim, c10::ScalarType store,
                                   Communicator& communicator, bool may_skip)
    : out_(std::move(out)),
      part_(part_of(out_, communicator)),
      communicator_(communicator),
      whole_(communicator.size() == 1 && !may_skip),
      writer_(whole_ ? out_ : part_, rows, dim, store,
              whole_ ? EmbeddingsFileKind::kWhole : EmbeddingsFileKind::kPart) {}

EmbeddingsOutput::~EmbeddingsOutput() {
  // This rank's part, when the job ends before rank 0 has joined the parts (which removes them).
  std::error_code absent;
  fs::remove(part_, absent);
}

void EmbeddingsOutput::write(int64_t first_row, const std::vector<std::string>& ids, const torch::Tensor& rows) {
  writer_.write(first_row, ids, rows);
}

void EmbeddingsOutput::commit(const EmbeddingsInfo& info) {
  writer_.commit(info);
  if (whole_) return;
  communicator_.barrier();
  if (communicator_.rank() == 0) {
    std::vector<fs::path> parts;
    for (int r = 0; r < communicator_.size(); ++r) parts.push_back(embeddings_part_path(out_, r));
    join_embedding_parts(parts, out_);
  }
  communicator_.barrier();
}

}  // namespace trireme
