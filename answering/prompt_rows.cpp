#include "answering/prompt_rows.h"

#include <algorithm>
#include <deque>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/kv_cache.h"

namespace trireme {
namespace {

/// Tokens [begin, end) of a prompt, the continuation of a cached sequence.
struct Part {
  const Prompt* prompt;
  int64_t begin, end;
  int64_t parent = kNoParent;
};

torch::Tensor int64_tensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions(torch::kInt64));
}

/// Which rows of a part are asked for.
enum class AskedRows { kNone, kLast, kAll };

/// Runs parts of prompts through the decoder, over one cache.
class Runner {
 public:
  Runner(const Lmm& model, const torch::Tensor& features, const PromptRowOptions& options)
      : model_(model), features_(features), options_(options), cache_(make_kv_cache(model, 2 * options.batch_tokens)) {}

  KvCache& cache() { return cache_; }
  int64_t computed() const { return computed_; }

  /// Adds the parts to the cache -> [N, D], the rows asked for of each.
  torch::Tensor extend(std::span<const Part> parts, AskedRows asked) {
    // Positions are those in the whole prompt, so all of it is numbered.
    std::vector<SequenceView> views;
    for (const Part& part : parts) views.push_back(view_of(*part.prompt, part.end));
    const PackedBatch whole = pack_without_images(views, options_.pack);
    std::vector<int64_t> places, bounds = {0}, rows, image_rows, from_features, parents;
    int64_t first = 0;
    for (const Part& part : parts) {
      const Prompt& prompt = *part.prompt;
      const int64_t offset = bounds.back() - part.begin;  // from places in the prompt to rows of the batch
      for (int64_t i = part.begin; i < part.end; ++i) places.push_back(first + i);
      for (std::size_t i = 0; i < prompt.images.size(); ++i) {
        if (prompt.image_begin[i] < part.begin || prompt.image_begin[i] >= part.end) continue;
        for (int64_t token = 0; token < prompt.images[i]->tokens; ++token) {
          image_rows.push_back(offset + prompt.image_begin[i] + token);
          from_features.push_back(prompt.images[i]->first_row + token);
        }
      }
      first += part.end;
      const int64_t end = std::ssize(places);
      if (asked != AskedRows::kNone)
        for (int64_t row = asked == AskedRows::kAll ? bounds.back() : end - 1; row < end; ++row) rows.push_back(row);
      bounds.push_back(end);
      parents.push_back(part.parent);
    }
    computed_ += std::ssize(places);
    const auto kept = int64_tensor(places);
    PackedBatch batch;
    batch.tokens = whole.tokens.index_select(0, kept).to(model_.device);
    batch.position_ids = whole.position_ids.index_select(1, kept).to(model_.device);
    batch.cu_seqlens = int64_tensor(bounds);
    batch.image_rows = int64_tensor(image_rows).to(model_.device);
    batch.rows = int64_tensor(rows).to(model_.device);
    ExtendOptions extend_options;
    if (features_.defined()) {
      extend_options.features = features_.index_select(0, int64_tensor(from_features).to(model_.device));
    }
    return extend_rows(model_, cache_, batch, parents, extend_options);
  }

 private:
  const Lmm& model_;
  const torch::Tensor& features_;
  const PromptRowOptions& options_;
  KvCache cache_;
  int64_t computed_ = 0;
};

/// The parts from `begin` on that are computed together: up to batch_tokens, one at least.
std::size_t end_of_batch(const std::vector<Part>& parts, std::size_t begin, int64_t batch_tokens) {
  int64_t tokens = 0;
  std::size_t end = begin;
  while (end < parts.size() && (end == begin || tokens + parts[end].end - parts[end].begin <= batch_tokens)) {
    tokens += parts[end].end - parts[end].begin;
    ++end;
  }
  return end;
}

/// Runs all prompts. take(parts, rows): continuations that were computed together, the last sequences of the cache, and
/// the last row of each; what it adds to the cache is forgotten.
template <class Take>
PromptCounts run_prompts(Runner& runner, std::span<const PromptGroup> groups, const PromptRowOptions& options,
                         const Take& take) {
  PromptCounts counts;
  for (std::size_t begin = 0, end = 0; begin < groups.size(); begin = end) {
    // The prefixes of some groups, then the continuations of all of them.
    std::vector<Part> prefixes, continuations;
    for (int64_t tokens = 0; end < groups.size(); ++end) {
      const PromptGroup& group = groups[end];
      const int64_t shared = group.size() > 1 ? common_prefix(group) : 0;
      tokens += shared;
      if (end > begin && tokens > options.batch_tokens) break;
      const bool shares = options.share_prefix && shared > 0;
      if (shares) prefixes.push_back({&group.front(), 0, shared});
      for (const Prompt& prompt : group) {
        const auto length = std::ssize(prompt.tokens);
        continuations.push_back({&prompt, shares ? shared : 0, length, shares ? std::ssize(prefixes) - 1 : kNoParent});
        counts.prompt_tokens += length;
        counts.images += std::ssize(prompt.images);
      }
      counts.prompts += std::ssize(group);
      counts.prefix_tokens += shared * std::ssize(group);
    }
    if (!prefixes.empty()) runner.extend(prefixes, AskedRows::kNone);
    for (std::size_t first = 0; first < continuations.size();) {
      const std::size_t last = end_of_batch(continuations, first, options.batch_tokens);
      const auto parts = std::span(continuations).subspan(first, last - first);
      take(parts, runner.extend(parts, AskedRows::kLast));
      truncate(runner.cache(), std::ssize(prefixes));
      first = last;
    }
    truncate(runner.cache(), 0);
  }
  counts.computed_tokens = runner.computed();
  return counts;
}

/// [N, V] float32: of the token behind each row.
torch::Tensor next_log_probabilities(const Lmm& model, const torch::Tensor& rows) {
  return at::log_softmax(vocabulary_logits(model, rows).to(torch::kFloat32), 1);
}

void check_choices(std::span<const std::vector<int64_t>> choices, int64_t vocabulary) {
  TRIREME_CHECK(!choices.empty(), ConfigError, "answers", "at least one choice required; got none; name the choices.");
  for (const auto& choice : choices) {
    TRIREME_CHECK(!choice.empty(), ConfigError, "answers",
                  "a choice needs a token; got none; leave empty choices out.");
    for (const int64_t token : choice)
      TRIREME_CHECK(token >= 0 && token < vocabulary, ConfigError, "answers",
                    "choices must be in the vocabulary of {}; got {}; use ids of the checkpoint's tokenizer.",
                    vocabulary, token);
  }
}

}  // namespace

double PromptCounts::saved_share() const {
  return prompt_tokens == 0 ? 0.0 : 1.0 - static_cast<double>(computed_tokens) / static_cast<double>(prompt_tokens);
}

PromptCounts& PromptCounts::operator+=(const PromptCounts& other) {
  prompts += other.prompts;
  prompt_tokens += other.prompt_tokens;
  computed_tokens += other.computed_tokens;
  prefix_tokens += other.prefix_tokens;
  images += other.images;
  encoded_images += other.encoded_images;
  return *this;
}

SequenceView view_of(const Prompt& prompt, int64_t end) {
  SequenceView view{std::span(prompt.tokens).first(static_cast<std::size_t>(end)), {}};
  for (std::size_t i = 0; i < prompt.images.size() && prompt.image_begin[i] < end; ++i)
    view.images.push_back(&prompt.images[i]->shape);
  return view;
}

int64_t common_prefix(const PromptGroup& group) {
  TRIREME_ASSERT(!group.empty(), "{} prompts", group.size());
  const Prompt& first = group.front();
  int64_t shared = std::ssize(first.tokens);
  for (const Prompt& prompt : group) {
    shared = std::min(shared, std::ssize(prompt.tokens) - 1);
    const auto [ours, theirs] =
        std::mismatch(first.tokens.begin(), first.tokens.begin() + shared, prompt.tokens.begin());
    shared = ours - first.tokens.begin();
    // Behind equal ids there may be another image.
    for (std::size_t i = 0; i < first.images.size() && first.image_begin[i] < shared; ++i) {
      if (prompt.images[i] != first.images[i]) shared = first.image_begin[i];
    }
  }
  return shared;
}

PromptValues prompt_rows(const Lmm& model, std::span<const PromptGroup> groups, const torch::Tensor& features,
                         const PromptRowOptions& options) {
  Runner runner(model, features, options);
  std::vector<torch::Tensor> rows;
  const PromptCounts counts = run_prompts(
      runner, groups, options, [&](std::span<const Part>, const torch::Tensor& last) { rows.push_back(last); });
  if (rows.empty()) rows.push_back(at::empty({0, model.config.decoder.hidden_size}, at::TensorOptions(model.dtype)));
  return {at::cat(rows, 0), counts};
}

PromptValues choice_log_probabilities(const Lmm& model, std::span<const PromptGroup> groups,
                                      const torch::Tensor& features, std::span<const std::vector<int64_t>> choices,
                                      const PromptRowOptions& options) {
  check_choices(choices, model.config.decoder.vocab_size);
  std::vector<int64_t> first_tokens;
  for (const auto& choice : choices) first_tokens.push_back(choice.front());
  Runner runner(model, features, options);
  std::vector<torch::Tensor> values;
  const PromptCounts counts =
      run_prompts(runner, groups, options, [&](std::span<const Part> parts, const torch::Tensor& last) {
        torch::Tensor sums =
            next_log_probabilities(model, last).index_select(1, int64_tensor(first_tokens).to(model.device));
        // Longer choices behind every prompt, all but the last token, whose row nobody asks for.
        const int64_t first = std::ssize(runner.cache().sequences) - std::ssize(parts);
        std::deque<Prompt> prompts;
        std::vector<Part> longer;
        std::vector<int64_t> sum_of, next;  // of each row asked for
        for (int64_t i = 0; i < std::ssize(parts); ++i) {
          const Part& part = parts[static_cast<std::size_t>(i)];
          for (int64_t c = 0; c < std::ssize(choices); ++c) {
            const auto& choice = choices[static_cast<std::size_t>(c)];
            if (choice.size() == 1) continue;
            Prompt& prompt = prompts.emplace_back(*part.prompt);
            prompt.tokens.insert(prompt.tokens.end(), choice.begin(), choice.end() - 1);
            longer.push_back({&prompt, part.end, std::ssize(prompt.tokens), first + i});
            sum_of.insert(sum_of.end(), choice.size() - 1, i * std::ssize(choices) + c);
            next.insert(next.end(), choice.begin() + 1, choice.end());
          }
        }
        const torch::Tensor sum_rows = int64_tensor(sum_of).to(model.device);
        const torch::Tensor next_tokens = int64_tensor(next).to(model.device).unsqueeze(1);
        int64_t row = 0;
        for (std::size_t begin = 0; begin < longer.size();) {
          const std::size_t end = end_of_batch(longer, begin, options.batch_tokens);
          const torch::Tensor rows = runner.extend(std::span(longer).subspan(begin, end - begin), AskedRows::kAll);
          truncate(runner.cache(), first + std::ssize(parts));
          const torch::Tensor added =
              next_log_probabilities(model, rows).gather(1, next_tokens.narrow(0, row, rows.size(0))).squeeze(1);
          sums.view(-1).index_add_(0, sum_rows.narrow(0, row, rows.size(0)), added);
          row += rows.size(0);
          begin = end;
        }
        values.push_back(sums);
      });
  if (values.empty()) values.push_back(at::empty({0, std::ssize(choices)}, torch::kFloat32));
  return {at::cat(values, 0).cpu(), counts};
}

}  // namespace trireme
