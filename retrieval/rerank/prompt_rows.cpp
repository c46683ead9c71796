#include "retrieval/rerank/prompt_rows.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/kv_cache.h"

namespace trireme {
namespace {

/// Tokens [begin, end) of a prompt, the continuation of a cached sequence.
struct Part {
  const ScoredPrompt* prompt;
  int64_t begin, end;
  int64_t parent = kNoParent;
};

torch::Tensor int64_tensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions(torch::kInt64));
}

/// A prompt's tokens and pictures up to `end`, which lies in no picture.
SequenceView view_of(const ScoredPrompt& prompt, int64_t end) {
  SequenceView view{std::span(prompt.tokens).first(static_cast<std::size_t>(end)), {}};
  for (std::size_t i = 0; i < prompt.pictures.size() && prompt.picture_begin[i] < end; ++i)
    view.images.push_back(&prompt.pictures[i]->shape);
  return view;
}

/// Runs parts of prompts through the decoder, over one cache.
class Runner {
 public:
  Runner(const Lmm& model, const torch::Tensor& features, const PromptRowOptions& options)
      : model_(model), features_(features), options_(options), cache_(make_kv_cache(model, 2 * options.batch_tokens)) {}

  KvCache& cache() { return cache_; }
  int64_t computed() const { return computed_; }

  /// Adds the parts to the cache. ask: -> [parts, D], the last row of each; else nothing is asked for.
  torch::Tensor extend(std::span<const Part> parts, bool ask) {
    // Positions are those in the whole prompt, so all of it is numbered.
    std::vector<SequenceView> views;
    for (const Part& part : parts) views.push_back(view_of(*part.prompt, part.end));
    const PackedBatch whole = pack_without_images(views, options_.pack);
    std::vector<int64_t> places, bounds = {0}, last_rows, image_rows, from_features, parents;
    int64_t first = 0;
    for (const Part& part : parts) {
      const ScoredPrompt& prompt = *part.prompt;
      const int64_t offset = bounds.back() - part.begin;  // from places in the prompt to rows of the batch
      for (int64_t i = part.begin; i < part.end; ++i) places.push_back(first + i);
      for (std::size_t i = 0; i < prompt.pictures.size(); ++i) {
        if (prompt.picture_begin[i] < part.begin || prompt.picture_begin[i] >= part.end) continue;
        for (int64_t token = 0; token < prompt.pictures[i]->tokens; ++token) {
          image_rows.push_back(offset + prompt.picture_begin[i] + token);
          from_features.push_back(prompt.pictures[i]->first_row + token);
        }
      }
      first += part.end;
      bounds.push_back(std::ssize(places));
      if (ask) last_rows.push_back(std::ssize(places) - 1);
      parents.push_back(part.parent);
    }
    computed_ += std::ssize(places);
    const auto kept = int64_tensor(places);
    PackedBatch batch;
    batch.tokens = whole.tokens.index_select(0, kept).to(model_.device);
    batch.position_ids = whole.position_ids.index_select(1, kept).to(model_.device);
    batch.cu_seqlens = int64_tensor(bounds);
    batch.image_rows = int64_tensor(image_rows).to(model_.device);
    batch.rows = int64_tensor(last_rows).to(model_.device);
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

}  // namespace

double RerankCounts::saved_share() const {
  return prompt_tokens == 0 ? 0.0 : 1.0 - static_cast<double>(computed_tokens) / static_cast<double>(prompt_tokens);
}

RerankCounts& RerankCounts::operator+=(const RerankCounts& other) {
  prompts += other.prompts;
  prompt_tokens += other.prompt_tokens;
  computed_tokens += other.computed_tokens;
  prefix_tokens += other.prefix_tokens;
  images += other.images;
  encoded_images += other.encoded_images;
  return *this;
}

int64_t common_prefix(const PromptGroup& group) {
  TRIREME_ASSERT(!group.empty(), "{} prompts", group.size());
  const ScoredPrompt& first = group.front();
  int64_t shared = std::ssize(first.tokens);
  for (const ScoredPrompt& prompt : group) {
    shared = std::min(shared, std::ssize(prompt.tokens) - 1);
    const auto [ours, theirs] =
        std::mismatch(first.tokens.begin(), first.tokens.begin() + shared, prompt.tokens.begin());
    shared = ours - first.tokens.begin();
    // Behind equal ids there may be another picture.
    for (std::size_t i = 0; i < first.pictures.size() && first.picture_begin[i] < shared; ++i) {
      if (prompt.pictures[i] != first.pictures[i]) shared = first.picture_begin[i];
    }
  }
  return shared;
}

PromptRows prompt_rows(const Lmm& model, std::span<const PromptGroup> groups, const torch::Tensor& features,
                       const PromptRowOptions& options) {
  PromptRows result;
  Runner runner(model, features, options);
  std::vector<torch::Tensor> rows;
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
      for (const ScoredPrompt& prompt : group) {
        const auto length = std::ssize(prompt.tokens);
        continuations.push_back({&prompt, shares ? shared : 0, length, shares ? std::ssize(prefixes) - 1 : kNoParent});
        result.counts.prompt_tokens += length;
        result.counts.images += std::ssize(prompt.pictures);
      }
      result.counts.prompts += std::ssize(group);
      result.counts.prefix_tokens += shared * std::ssize(group);
    }
    if (!prefixes.empty()) runner.extend(prefixes, /*ask=*/false);
    for (std::size_t first = 0; first < continuations.size();) {
      const std::size_t last = end_of_batch(continuations, first, options.batch_tokens);
      rows.push_back(runner.extend(std::span(continuations).subspan(first, last - first), /*ask=*/true));
      truncate(runner.cache(), std::ssize(prefixes));
      first = last;
    }
    truncate(runner.cache(), 0);
  }
  result.rows = rows.empty() ? at::empty({0, model.config.decoder.hidden_size}, at::TensorOptions(model.dtype))
                             : at::cat(rows, 0);
  result.counts.computed_tokens = runner.computed();
  return result;
}

}  // namespace trireme
