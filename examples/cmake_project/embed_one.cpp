// Embeds one sentence: embed_one CHECKPOINT_FOLDER "a red bicycle". Prints the vector's length and its first values.
#include <cstdio>
#include <exception>

#include "answering/record_model.h"
#include "core/distributed/self.h"

int main(int count, char** arguments) try {
  if (count != 3) {
    std::fputs("usage: embed_one CHECKPOINT_FOLDER TEXT\n", stderr);
    return 2;
  }
  trireme::RecordModelConfig config;
  config.path = arguments[1];

  trireme::RecordModel model(config);  // what can be wrong is found here, before a weight is read
  trireme::SelfCommunicator one_rank;
  model.checkpoint.load(one_rank, trireme::VocabularyHead::kLeave);

  const trireme::EncodedSequence sequence{model.prompt.encode(arguments[2], std::nullopt, "the sentence"), {}};
  const trireme::PackedBatch batch = trireme::pack({&sequence, 1}, model.checkpoint.image_input({}).pack);
  const torch::Tensor row = trireme::embed(model.checkpoint.model(), batch);  // [1, D] float32, of unit length

  std::printf("%lld values:", static_cast<long long>(row.size(1)));
  for (int64_t i = 0; i < std::min<int64_t>(4, row.size(1)); ++i) std::printf(" %.6f", row[0][i].item<float>());
  std::puts(" ..");
} catch (const std::exception& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 1;
}
