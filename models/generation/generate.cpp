#include "models/generation/generate.h"

#include <cmath>
#include <limits>

#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tensor.h"
#include "models/kv_cache.h"

namespace trireme {
namespace {

constexpr std::string_view kWhere = "generate";

torch::Tensor int64_tensor(const std::vector<int64_t>& values, c10::Device device = torch::kCPU) {
  return at::tensor(values, at::TensorOptions(torch::kInt64)).to(device);
}

/// The prompts with their last rows asked for.
PackedBatch with_last_rows(PackedBatch prompts) {
  prompts.rows = (prompts.cu_seqlens.narrow(0, 1, prompts.cu_seqlens.size(0) - 1) - 1).to(prompts.tokens.device());
  return prompts;
}

void check_tokens(const std::vector<int64_t>& tokens, std::string_view what, int64_t vocabulary) {
  for (const int64_t token : tokens) {
    TRIREME_CHECK(token >= 0 && token < vocabulary, ConfigError, kWhere,
                  "{} must be in the vocabulary of {}; got {}; use ids of the checkpoint's tokenizer.", what,
                  vocabulary, token);
  }
}

/// What is added to the scores: 0 where a token may be drawn, else -inf. Undefined where all may.
torch::Tensor ban_of(const std::vector<int64_t>& allowed, int64_t vocabulary, c10::Device device) {
  if (allowed.empty()) return {};
  auto ban = at::full({vocabulary}, -std::numeric_limits<float>::infinity(), torch::kFloat32);
  return ban.index_fill_(0, int64_tensor(allowed), 0.0).to(device);
}

/// A sequence under way.
struct Completion {
  int64_t cached = 0;  ///< its index in the cache
  uint64_t seed = 0;
  Generation result;
};

/// Draws the next token of each completion from its row of `scores` [n, V] float32.
void draw(const torch::Tensor& scores, std::span<Completion* const> completions, const GenerateOptions& options,
          const torch::Tensor& ban) {
  const torch::Tensor from = (ban.defined() ? scores + ban : scores).cpu().contiguous();
  const int64_t vocabulary = from.size(1);
  const float* rows = from.const_data_ptr<float>();
  std::vector<int64_t> tokens(completions.size());
  parallel_for(std::ssize(completions), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Completion& completion = *completions[static_cast<std::size_t>(i)];
      RandomStream stream = random_stream(completion.seed, "generation.token", std::ssize(completion.result.tokens));
      const std::span row(rows + i * vocabulary, static_cast<std::size_t>(vocabulary));
      tokens[static_cast<std::size_t>(i)] = pick_token(row, options.sampling, stream.uniform());
    }
  });
  const auto picked = int64_tensor(tokens, scores.device()).unsqueeze(1);
  const auto log_probabilities = at::log_softmax(scores, 1).gather(1, picked).squeeze(1).cpu();
  for (std::size_t i = 0; i < completions.size(); ++i) {
    const float value = log_probabilities[static_cast<int64_t>(i)].item<float>();
    TRIREME_CHECK(std::isfinite(value), DataError, kWhere,
                  "the vocabulary's scores must be finite; got a log-probability of {} at new token {}; check the "
                  "weights, or compute in float32.",
                  value, completions[i]->result.tokens.size());
    Generation& result = completions[i]->result;
    result.tokens.push_back(tokens[i]);
    result.log_probabilities.push_back(value);
    result.stopped = std::ranges::find(options.stop_tokens, tokens[i]) != options.stop_tokens.end();
  }
}

torch::Tensor wide_logits(const Lmm& model, const torch::Tensor& rows) {
  return vocabulary_logits(model, rows).to(torch::kFloat32);
}

}  // namespace

std::vector<Generation> generate(const Lmm& model, const PackedBatch& prompts, std::span<const uint64_t> seeds,
                                 const GenerateOptions& options) {
  const at::NoGradGuard no_gradient;
  const int64_t vocabulary = model.config.decoder.vocab_size;
  TRIREME_CHECK(options.max_new_tokens >= 1, ConfigError, kWhere,
                "max_new_tokens must be at least 1; got {}; raise it.", options.max_new_tokens);
  check_tokens(options.stop_tokens, "stop tokens", vocabulary);
  check_tokens(options.allowed_tokens, "allowed tokens", vocabulary);
  if (options.features.defined()) {
    check_batch_with_features(model.config, prompts, options.features);
  } else {
    check_batch(model.config, prompts);
  }
  const int64_t count = prompts.cu_seqlens.size(0) - 1;
  TRIREME_CHECK(!seeds.empty() && std::ssize(seeds) % count == 0, ShapeError, kWhere,
                "one seed per completion required, as many for each of the {} prompts; got {}; pass {} or a multiple.",
                count, seeds.size(), count);
  const int64_t per_prompt = std::ssize(seeds) / count;

  KvCache cache = make_kv_cache(model, prompts.tokens.size(0) + std::ssize(seeds) * options.max_new_tokens);
  const std::vector<int64_t> no_parents(static_cast<std::size_t>(count), kNoParent);
  const auto prompt_rows =
      extend_rows(model, cache, with_last_rows(prompts), no_parents, {.features = options.features});
  std::vector<int64_t> prompt_of;
  std::vector<Completion> completions(seeds.size());
  std::vector<Completion*> active;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    prompt_of.push_back(static_cast<int64_t>(i) / per_prompt);
    completions[i].cached = fork(cache, prompt_of.back(), options.max_new_tokens);
    completions[i].seed = seeds[i];
    active.push_back(&completions[i]);
  }
  const torch::Tensor ban = ban_of(options.allowed_tokens, vocabulary, model.device);
  draw(wide_logits(model, prompt_rows).index_select(0, int64_tensor(prompt_of, model.device)), active, options, ban);
  for (int64_t drawn = 1; drawn < options.max_new_tokens; ++drawn) {
    std::erase_if(active, [](const Completion* completion) { return completion->result.stopped; });
    if (active.empty()) break;
    std::vector<int64_t> sequences, tokens;
    for (const Completion* completion : active) {
      sequences.push_back(completion->cached);
      tokens.push_back(completion->result.tokens.back());
    }
    const auto rows = advance_rows(model, cache, sequences, int64_tensor(tokens, model.device));
    draw(wide_logits(model, rows), active, options, ban);
  }
  std::vector<Generation> results;
  for (Completion& completion : completions) results.push_back(std::move(completion.result));
  return results;
}

}  // namespace trireme
