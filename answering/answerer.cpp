#include "answering/answerer.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/batch_device.h"

namespace trireme {

Answerer::Answerer(const Lmm& model, const Tokenizer& tokenizer, ImageInput input, AnswererOptions options)
    : model_(model), tokenizer_(tokenizer), input_(std::move(input)), options_(options) {
  TRIREME_CHECK(model.head.weight.defined(), ConfigError, "answers",
                "a model with its vocabulary head required; got one loaded without; set LoadOptions::head.");
}

PromptValues Answerer::token_scores(std::span<const PromptGroup> groups, const EncodedImages& images,
                                    std::span<const int64_t> tokens) const {
  const at::NoGradGuard no_gradient;
  PromptValues rows =
      prompt_rows(model_, groups, images.features, {input_.pack, options_.share_prefix, options_.batch_tokens});
  return {vocabulary_logits(model_, rows.values, tokens).to(torch::kFloat64).cpu(), rows.counts};
}

PromptValues Answerer::choices(std::span<const PromptGroup> groups, const EncodedImages& images,
                               std::span<const std::vector<int64_t>> choices) const {
  const at::NoGradGuard no_gradient;
  return choice_log_probabilities(model_, groups, images.features, choices,
                                  {input_.pack, options_.share_prefix, options_.batch_tokens});
}

std::vector<Answer> Answerer::generate(std::span<const Prompt> prompts, const EncodedImages& images,
                                       std::span<const uint64_t> seeds, GenerateOptions options) const {
  std::vector<SequenceView> views;
  std::vector<int64_t> rows;
  for (const Prompt& prompt : prompts) {
    views.push_back(view_of(prompt, std::ssize(prompt.tokens)));
    for (const EncodedImage* image : prompt.images)
      for (int64_t token = 0; token < image->tokens; ++token) rows.push_back(image->first_row + token);
  }
  if (images.features.defined())
    options.features = images.features.index_select(0, at::tensor(rows, torch::kInt64).to(model_.device));
  return generate(pack_without_images(views, input_.pack), seeds, options);
}

std::vector<Answer> Answerer::generate(const PackedBatch& prompts, std::span<const uint64_t> seeds,
                                       const GenerateOptions& options) const {
  std::vector<Answer> answers;
  for (Generation& generation : trireme::generate(model_, on_device(prompts, model_.device), seeds, options)) {
    const auto text = std::span(generation.tokens).first(generation.tokens.size() - (generation.stopped ? 1 : 0));
    std::string decoded = tokenizer_.decode(text, !options_.keep_special_tokens);
    answers.push_back({std::move(generation), std::move(decoded)});
  }
  return answers;
}

}  // namespace trireme
