#include "retrieval/rerank/scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "retrieval/rerank/list_windows.h"

namespace trireme {
namespace {

/// One call of score(): its queries, and their images behind the vision tower.
struct Call {
  const Answerer& answerer;
  const RerankPrompt& prompt;
  const RerankScorerConfig& config;
  std::span<const RerankQuery> queries;
  EncodedImages images;
};

std::string place_of(const RerankQuery& query) { return fmt::format("query {}", query.query.id); }
std::string place_of(const RerankQuery& query, const Record& candidate) {
  return fmt::format("query {}, candidate {}", query.query.id, candidate.id);
}

void require_content(const Record& record, const std::string& where) {
  TRIREME_CHECK(!record.text.empty() || !record.image.empty(), DataError, where,
                "a text or an image required; got neither; leave the record out.");
}

std::vector<ImageUse> images_of(std::span<const RerankQuery> queries) {
  std::vector<ImageUse> uses;
  const auto add = [&](const Record& record, std::string where) {
    require_content(record, where);
    if (!record.image.empty()) uses.push_back({record.image, std::move(where)});
  };
  for (const RerankQuery& query : queries) {
    if (query.candidates.empty()) continue;
    add(query.query, place_of(query));
    for (const Record& candidate : query.candidates) add(candidate, place_of(query, candidate));
  }
  return uses;
}

RerankItem item_of(const Call& call, const Record& record) {
  const EncodedImage* image = call.images.of(record);
  return {record.text, image == nullptr ? std::nullopt : std::optional(image->tokens)};
}

/// The tokens with the images of the query and of `candidates`, in this order.
Prompt prompt_of(const Call& call, RerankTokens tokens, const Record& query,
                 std::span<const Record* const> candidates) {
  Prompt prompt{std::move(tokens.tokens), {}, std::move(tokens.image_begin)};
  const auto add = [&](const Record& record) {
    if (const EncodedImage* image = call.images.of(record)) prompt.images.push_back(image);
  };
  add(query);
  for (const Record* candidate : candidates) add(*candidate);
  return prompt;
}

PromptGroup pointwise_prompts(const Call& call, const RerankQuery& query) {
  constexpr int64_t kGrain = 4;  // prompts that are worth a thread
  PromptGroup group(query.candidates.size());
  const RerankItem item = item_of(call, query.query);
  parallel_for(std::ssize(group), kGrain, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      const Record* candidate = &query.candidates[i];
      group[i] = prompt_of(call, call.prompt.pointwise(item, item_of(call, *candidate), place_of(query, *candidate)),
                           query.query, std::span(&candidate, 1));
    }
  });
  return group;
}

/// [prompts, tokens] float64 on the CPU: the scores of `tokens` behind each prompt.
torch::Tensor answer_logits(const Call& call, std::span<const PromptGroup> groups, std::span<const int64_t> tokens,
                            PromptCounts& counts) {
  PromptValues scores = call.answerer.token_scores(groups, call.images, tokens);
  counts += scores.counts;
  return std::move(scores.values);
}

void check_finite(double score, const RerankQuery& query) {
  TRIREME_CHECK(std::isfinite(score), DataError, place_of(query),
                "scores must be finite; got {}; check the weights, or compute in float32.", score);
}

void score_pointwise(const Call& call, RerankResult& result) {
  std::vector<PromptGroup> groups;
  for (const RerankQuery& query : call.queries) {
    if (!query.candidates.empty()) groups.push_back(pointwise_prompts(call, query));
  }
  if (groups.empty()) return;
  const RerankAnswers& answers = call.prompt.answers();
  const int64_t tokens[] = {answers.yes(), answers.no()};
  const torch::Tensor logits = answer_logits(call, groups, tokens, result.counts);
  const auto values = logits.accessor<double, 2>();
  int64_t row = 0;
  for (std::size_t q = 0; q < call.queries.size(); ++q) {
    for (std::size_t i = 0; i < call.queries[q].candidates.size(); ++i, ++row) {
      const double score = 1 / (1 + std::exp(values[row][1] - values[row][0]));
      check_finite(score, call.queries[q]);
      result.scores[q].pointwise.push_back(score);
    }
  }
}

/// Window `begin` .. `begin + size` of a query's list as it stands.
struct Window {
  std::size_t query;
  int64_t begin, size;
};

Prompt listwise_prompt(const Call& call, const Window& window, const std::vector<int64_t>& order) {
  const RerankQuery& query = call.queries[window.query];
  std::vector<RerankItem> items;
  std::vector<const Record*> records;
  for (int64_t place = window.begin; place < window.begin + window.size; ++place) {
    records.push_back(&query.candidates[static_cast<std::size_t>(order[static_cast<std::size_t>(place)])]);
    items.push_back(item_of(call, *records.back()));
  }
  return prompt_of(call, call.prompt.listwise(item_of(call, query.query), items, place_of(query)), query.query,
                   records);
}

/// The probability of each place of each window.
std::vector<std::vector<double>> digit_probabilities(const Call& call, std::span<const Window> windows,
                                                     std::vector<PromptGroup> groups, PromptCounts& counts) {
  const RerankAnswers& answers = call.prompt.answers();
  for (PromptGroup& group : groups) {
    auto& tokens = group.front().tokens;
    tokens.insert(tokens.end(), answers.before_digit().begin(), answers.before_digit().end());
  }
  const torch::Tensor logits = answer_logits(call, groups, answers.digits(), counts);
  std::vector<std::vector<double>> probabilities;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const auto own = logits[static_cast<int64_t>(i)].narrow(0, 0, windows[i].size).softmax(0);
    const double* values = own.const_data_ptr<double>();
    probabilities.emplace_back(values, values + windows[i].size);
    check_finite(probabilities.back().front(), call.queries[windows[i].query]);
  }
  return probabilities;
}

/// 1 at the place that the greedy answer names, 0 elsewhere; nothing but 0 where it is not "Ans: (k)".
std::vector<std::vector<double>> released_choices(const Call& call, std::span<const Window> windows,
                                                  const std::vector<PromptGroup>& groups, PromptCounts& counts) {
  const RerankAnswers& answers = call.prompt.answers();
  std::vector<std::vector<double>> choices;
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const Prompt& prompt = groups[i].front();
    // All of the answer but the line break behind <|im_end|>, which nobody reads.
    GenerateOptions options;
    options.max_new_tokens = std::ssize(answers.listwise(1)) - 1;
    const uint64_t seed[] = {0};
    const Answer answer = call.answerer.generate(std::span(&prompt, 1), call.images, seed, options).front();
    counts += {1, std::ssize(prompt.tokens), std::ssize(prompt.tokens), 0, std::ssize(prompt.images), 0};
    choices.emplace_back(windows[i].size, 0.0);
    for (int64_t k = 1; k <= windows[i].size; ++k) {
      std::vector<int64_t> wanted = answers.listwise(k);
      wanted.pop_back();
      if (answer.generation.tokens == wanted) choices.back()[static_cast<std::size_t>(k - 1)] = 1;
    }
  }
  return choices;
}

/// Puts the window's candidates in order of `scores`; equal ones keep theirs.
void reorder(std::vector<int64_t>& order, const Window& window, const std::vector<double>& scores) {
  std::vector<int64_t> places(scores.size());
  std::iota(places.begin(), places.end(), 0);
  std::ranges::stable_sort(places, std::greater{}, [&](int64_t i) { return scores[static_cast<std::size_t>(i)]; });
  const auto begin = order.begin() + window.begin;
  const std::vector<int64_t> old(begin, begin + window.size);
  for (std::size_t i = 0; i < places.size(); ++i)
    begin[static_cast<int64_t>(i)] = old[static_cast<std::size_t>(places[i])];
}

void score_listwise(const Call& call, RerankResult& result) {
  const bool digits = call.config.listwise_answer == ListwiseAnswer::kDigits;
  std::size_t rounds = 0;
  std::vector<std::vector<int64_t>> begins;
  for (std::size_t q = 0; q < call.queries.size(); ++q) {
    const auto count = std::ssize(call.queries[q].candidates);
    begins.push_back(window_begins(count, call.config.window, call.config.window_step));
    rounds = std::max(rounds, begins.back().size());
    auto& order = result.scores[q].listwise_order;
    order.resize(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    for (int64_t i = 0; i < count; ++i)
      result.scores[q].listwise.push_back(1 - static_cast<double>(i) / static_cast<double>(count));
  }
  // The windows of a list come one after the other, those of different lists together.
  for (std::size_t round = 0; round < rounds; ++round) {
    std::vector<Window> windows;
    std::vector<PromptGroup> groups;
    for (std::size_t q = 0; q < begins.size(); ++q) {
      const auto count = std::ssize(call.queries[q].candidates);
      if (round >= begins[q].size() || count < 2) continue;
      windows.push_back({q, begins[q][round], std::min(count, call.config.window)});
      groups.push_back({listwise_prompt(call, windows.back(), result.scores[q].listwise_order)});
    }
    if (windows.empty()) continue;
    const auto scores = digits ? digit_probabilities(call, windows, std::move(groups), result.counts)
                               : released_choices(call, windows, groups, result.counts);
    for (std::size_t i = 0; i < windows.size(); ++i) {
      RerankScores& own = result.scores[windows[i].query];
      reorder(own.listwise_order, windows[i], scores[i]);
      if (!digits && std::ranges::count(scores[i], 1.0) == 0) ++own.unread_answers;
      if (digits && std::ssize(own.listwise) == windows[i].size) own.listwise = scores[i];
      if (digits && std::ssize(own.listwise) == windows[i].size) continue;
      for (std::size_t place = 0; place < own.listwise.size(); ++place) {
        own.listwise[static_cast<std::size_t>(own.listwise_order[place])] =
            1 - static_cast<double>(place) / static_cast<double>(own.listwise.size());
      }
    }
  }
}

}  // namespace

RerankScorer::RerankScorer(Answerer answerer, const RerankPrompt& prompt, RerankScorerConfig config)
    : answerer_(std::move(answerer)), prompt_(prompt), config_(config) {
  TRIREME_CHECK(config.window_step <= config.window, ConfigError, "rerank",
                "window_step must be at most window; got {} and {}; candidates between two windows would never be "
                "seen.",
                config.window_step, config.window);
}

RerankResult RerankScorer::score(std::span<const RerankQuery> queries, RerankModes modes) const {
  RerankResult result;
  result.scores.resize(queries.size());
  const Call call{answerer_, prompt_, config_, queries, answerer_.encode(images_of(queries))};
  result.counts.encoded_images = std::ssize(call.images.by_path);
  if (asks_pointwise(modes)) score_pointwise(call, result);
  if (asks_listwise(modes)) score_listwise(call, result);
  return result;
}

}  // namespace trireme
