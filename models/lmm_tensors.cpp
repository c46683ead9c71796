#include "models/lmm.h"

namespace trireme {

Lmm empty_lmm(const ModelConfig& config) {
  Lmm model;
  model.config = config;
  model.decoder.layers.resize(config.decoder.layers);
  if (config.vision) model.vision.emplace().blocks.resize(config.vision->depth);
  return model;
}

void visit_tensors(Lmm& model, const TensorVisitor& visitor) {
  const DecoderConfig& c = model.config.decoder;
  visit_tensors(model.decoder, c, visitor);
  if (model.vision) visit_tensors(*model.vision, *model.config.vision, visitor);
  const PartVisit head{visitor, ModelPart::kHead, c.hidden_size, c.tie_word_embeddings};
  head.linear(model.head, c.hidden_size, Bias::kNone, {{"lm_head", c.vocab_size}});
}

}  // namespace trireme
