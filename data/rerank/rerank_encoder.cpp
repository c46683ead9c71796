#include "data/rerank/rerank_encoder.h"

#include <map>

namespace trireme {
namespace {

/// A query or document as it stands in prompts.
struct Item {
  RerankItem text;
  std::optional<std::size_t> image;
};

/// The images of a prompt's items, the query's first.
std::vector<std::size_t> images_of(const Item& query, const std::vector<const Item*>& documents) {
  std::vector<std::size_t> out;
  if (query.image) out.push_back(*query.image);
  for (const Item* document : documents) {
    if (document->image) out.push_back(*document->image);
  }
  return out;
}

}  // namespace

RerankEncoder::RerankEncoder(const DataConfig& config, RerankSpacing spacing, const ModelInput& model, uint64_t seed)
    : images_(config, model),
      pack_(trireme::pack_options(config, model)),
      seed_(seed),
      chat_(model.tokenizer, model.image_token_id, config.system_prompt),
      prompt_(model.tokenizer, chat_, {.spacing = spacing, .text_tokens = config.text_tokens}) {}

EncodedRerank RerankEncoder::encode(const RerankRecords& records, int64_t step, int64_t global_row) const {
  EncodedRerank out{.query_id = records.query.id, .target_id = records.target.id, .images = {}, .samples = {}};
  const auto read = [&](const Record& record, int64_t number) {
    constexpr int64_t kMostItems = 16;
    Item item{.text = {.text = record.text, .image_tokens = {}}, .image = {}};
    if (record.image.empty()) return item;
    const RandomStream stream = random_stream(seed_, "data.augment.rerank", step, global_row * kMostItems + number);
    item.image = out.images.size();
    out.images.push_back(images_.read(record.image, fmt::format("{} {}", records.where, record.id), stream));
    item.text.image_tokens = images_.tokens_of(out.images.back());
    return item;
  };
  const Item query = read(records.query, 0);
  std::map<std::string, Item> documents;  // pointers to its items stay valid
  const auto document = [&](const Record& record) {
    const auto found = documents.find(record.id);
    if (found != documents.end()) return &found->second;
    return &documents.emplace(record.id, read(record, 1 + std::ssize(documents))).first->second;
  };

  const RerankAnswers& answers = prompt_.answers();
  const auto pointwise = [&](const Item* candidate, bool relevant) {
    RerankSample sample;
    sample.sequence =
        answered(prompt_.pointwise(query.text, candidate->text, records.where), answers.pointwise(relevant));
    sample.images = images_of(query, {candidate});
    sample.decision = sample.sequence.answer_begin;
    sample.options = {answers.yes(), answers.no()};
    return sample;
  };
  const Item* target = document(records.target);
  out.samples[0] = pointwise(target, true);
  out.samples[1] = pointwise(document(records.negative), false);

  std::vector<const Item*> list;
  for (const Record& record : records.listed) list.push_back(document(record));
  list.insert(list.begin() + (records.target_number - 1), target);
  std::vector<RerankItem> candidates;
  for (const Item* candidate : list) candidates.push_back(candidate->text);
  RerankSample& sample = out.samples[2];
  sample.sequence =
      answered(prompt_.listwise(query.text, candidates, records.where), answers.listwise(records.target_number));
  sample.images = images_of(query, list);
  sample.listwise = true;
  sample.decision = sample.sequence.answer_begin + std::ssize(answers.before_digit());
  sample.options.assign(answers.digits().begin(), answers.digits().begin() + std::ssize(list));
  return out;
}

int64_t RerankEncoder::estimated_tokens(const PairSize& size) const {
  // Two pairs, and a list of three or four documents: the texts and images of about four pairs.
  constexpr int64_t kBytesPerToken = 4, kFrameTokens = 90, kSamples = 3, kPairs = 4;
  return kSamples * kFrameTokens + kPairs * (size.text_bytes / kBytesPerToken + size.images * images_.most_tokens());
}

}  // namespace trireme
