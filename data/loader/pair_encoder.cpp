#include "data/loader/pair_encoder.h"

#include "core/error.h"

namespace trireme {

EncodedSequence encode_record(const Record& record, const ImageReader& images, const EmbeddingPrompt& prompt,
                              const std::string& where, std::optional<RandomStream> stream,
                              const ImageReader::OnBytes& on_bytes) {
  EncodedSequence out;
  std::optional<int64_t> image_tokens;
  if (!record.image.empty()) {  // first: its size decides the prompt
    out.images.push_back(images.read(record.image, where, stream, on_bytes));
    image_tokens = images.tokens_of(out.images[0]);
  }
  out.tokens = prompt.encode(record.text, image_tokens, where);
  return out;
}

PairEncoder::PairEncoder(const DataConfig& config, const ModelInput& model, uint64_t seed)
    : images_(config, model),
      pack_(trireme::pack_options(config, model)),
      seed_(seed),
      chat_(model.tokenizer, model.image_token_id, config.system_prompt),
      prompt_(model.tokenizer, chat_, {.form = config.prompt, .text_tokens = config.text_tokens}) {}

EncodedPair PairEncoder::encode(TrainingPair pair, int64_t step, int64_t global_row) const {
  const auto encoded = [&](const Record& record, std::string_view side, int64_t number) {
    return encode_record(record, images_, prompt_, fmt::format("{} {}", pair.where, record.id),
                         random_stream(seed_, side, step, number));
  };
  EncodedPair out;
  out.query = encoded(pair.query, "data.augment.query", global_row);
  out.target = encoded(pair.target, "data.augment.target", global_row);
  const auto negatives = std::ssize(pair.hard_negatives);
  for (int64_t i = 0; i < negatives; ++i)
    out.hard_negatives.push_back(encoded(pair.hard_negatives[static_cast<std::size_t>(i)], "data.augment.hard_negative",
                                         global_row * negatives + i));
  out.pair = std::move(pair);
  return out;
}

int64_t PairEncoder::estimated_tokens(const PairSize& size) const {
  constexpr int64_t kBytesPerToken = 4, kFrameTokens = 50;
  return kFrameTokens + size.text_bytes / kBytesPerToken + size.images * images_.most_tokens();
}

}  // namespace trireme
