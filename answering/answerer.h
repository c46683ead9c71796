#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "answering/encoded_images.h"
#include "answering/prompt_rows.h"
#include "core/packed_batch.h"
#include "data/tokenizer/tokenizer.h"
#include "models/generation/generate.h"

namespace trireme {

struct AnswererOptions {
  bool share_prefix = true;          ///< what the prompts of a group begin with is computed once
  int64_t batch_tokens = 8192;       ///< computed at a time; bounds memory
  bool keep_special_tokens = false;  ///< special tokens inside an answer stay in its text; the end token never does
};

/// A generated answer.
struct Answer {
  Generation generation;  ///< its tokens, their log-probabilities, and whether it ended by itself
  std::string text;       ///< without the end token
};

/// An LMM that is asked: the one thing that reranking, judging, ranking and labelling see of it. Prompts in; the
/// probabilities of given answers, or new text, out. Records no gradient; safe to use from one thread at a time.
///   const EncodedImages images = answerer.encode(uses);          // each file once, for as many questions as are asked
///   const PromptValues p = answerer.choices(groups, images, {{yes}, {no}});
class Answerer {
 public:
  /// model, loaded with its head, and tokenizer outlive the answerer. throws ConfigError: no head.
  Answerer(const Lmm& model, const Tokenizer& tokenizer, ImageInput input, AnswererOptions options = {});

  /// throws as read_and_encode().
  EncodedImages encode(std::span<const ImageUse> uses) const { return read_and_encode(model_, input_, uses); }

  /// [prompts, tokens] float64 on the CPU: the unnormalised scores of `tokens` behind each prompt; their differences
  /// are log odds. The vocabulary's other rows are not computed.
  PromptValues token_scores(std::span<const PromptGroup> groups, const EncodedImages& images,
                            std::span<const int64_t> tokens) const;
  /// [prompts, choices] float32 on the CPU: log p(choice | prompt), as choice_log_probabilities().
  PromptValues choices(std::span<const PromptGroup> groups, const EncodedImages& images,
                       std::span<const std::vector<int64_t>> choices) const;

  /// One answer a seed, in the prompts' order; several a prompt where there are more seeds. As generate(), whose
  /// refusals it has; options.features is set here.
  std::vector<Answer> generate(std::span<const Prompt> prompts, const EncodedImages& images,
                               std::span<const uint64_t> seeds, GenerateOptions options) const;
  /// The same for prompts with their images' patches, on any device.
  std::vector<Answer> generate(const PackedBatch& prompts, std::span<const uint64_t> seeds,
                               const GenerateOptions& options) const;

 private:
  const Lmm& model_;
  const Tokenizer& tokenizer_;
  ImageInput input_;
  AnswererOptions options_;
};

}  // namespace trireme
