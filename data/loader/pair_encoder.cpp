#include "data/loader/pair_encoder.h"

#include "core/error.h"

namespace trireme {

PairEncoder::PairEncoder(const DataConfig& config, const ModelInput& model, uint64_t seed)
    : pictures_(config, model),
      seed_(seed),
      chat_(model.tokenizer, model.image_token_id, config.system_prompt),
      prompt_(model.tokenizer, chat_, {.form = config.prompt, .text_tokens = config.text_tokens}) {}

EncodedPair PairEncoder::encode(TrainingPair pair, int64_t step, int64_t global_row) const {
  EncodedPair out{.pair = std::move(pair), .query = {}, .target = {}, .hard_negatives = {}};
  const auto place = [&](const Record& record) { return fmt::format("{} {}", out.pair.where, record.id); };
  out.query = encode_record(out.pair.query, random_stream(seed_, "data.augment.query", step, global_row),
                            place(out.pair.query));
  out.target = encode_record(out.pair.target, random_stream(seed_, "data.augment.target", step, global_row),
                             place(out.pair.target));
  const auto negatives = std::ssize(out.pair.hard_negatives);
  for (const Record& negative : out.pair.hard_negatives) {
    const int64_t number = global_row * negatives + std::ssize(out.hard_negatives);
    out.hard_negatives.push_back(
        encode_record(negative, random_stream(seed_, "data.augment.hard_negative", step, number), place(negative)));
  }
  return out;
}

EncodedSequence PairEncoder::encode_record(const Record& record, RandomStream stream, const std::string& where) const {
  EncodedSequence out;
  std::optional<int64_t> image_tokens;
  if (!record.image.empty()) {
    out.images.push_back(pictures_.read(record.image, stream, where));
    image_tokens = pictures_.tokens_of(out.images[0]);
  }
  out.tokens = prompt_.encode(record.text, image_tokens, where);
  return out;
}

int64_t PairEncoder::estimated_tokens(const PairSize& size) const {
  constexpr int64_t kBytesPerToken = 4, kFrameTokens = 50;
  return kFrameTokens + size.text_bytes / kBytesPerToken + size.images * pictures_.most_tokens();
}

}  // namespace trireme
