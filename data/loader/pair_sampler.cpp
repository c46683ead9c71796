#include "data/loader/pair_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

#include "core/error.h"
#include "data/loader/apportion.h"
#include "data/loader/separate_clashes.h"

namespace trireme {
namespace {

constexpr std::string_view kWhere = "data.sampler";

/// A key of the pair itself, apart from those of documents and concepts, which are not negative.
int64_t key_of_row(const SampledPair& pair) { return -1 - (pair.source << 32 | pair.row); }

bool has_weights(const DataConfig& config) {
  return std::any_of(config.sources.begin(), config.sources.end(),
                     [](const SourceConfig& s) { return s.weight || !s.group_weights.empty(); });
}

/// The groups' weights in the order of `groups`; empty config: their numbers of pairs.
std::vector<double> group_weights(const std::vector<std::string>& groups, const std::vector<int64_t>& sizes,
                                  const SourceConfig& config, const std::string& name) {
  if (config.group_weights.empty()) return {sizes.begin(), sizes.end()};
  const std::string where = fmt::format("data.sources {}", name);
  for (const auto& [group, weight] : config.group_weights) {
    TRIREME_CHECK(std::find(groups.begin(), groups.end(), group) != groups.end(), ConfigError, where,
                  "group_weights must name groups of the source, {}; got {}; remove it or correct the name.",
                  fmt::join(groups, ", "), group);
  }
  std::vector<double> weights;
  for (const std::string& group : groups) {
    const auto found = config.group_weights.find(group);
    TRIREME_CHECK(found != config.group_weights.end(), ConfigError, where,
                  "group_weights must name every group of the source; got none for {}; add it, 0 leaves it out.",
                  group);
    weights.push_back(found->second);
  }
  TRIREME_CHECK(std::any_of(weights.begin(), weights.end(), [](double w) { return w > 0; }), ConfigError, where,
                "group_weights must have one above 0; got zeros only; remove the source instead.");
  return weights;
}

}  // namespace

PairSampler::PairSampler(const TrainingSet& set, const DataConfig& config, uint64_t seed)
    : set_(set),
      pairs_global_(config.sampler.pairs_global),
      batch_from_(config.sampler.batch_from),
      distinct_(config.sampler.distinct),
      seed_(seed) {
  add_streams(set, config);
  for (const Stream& stream : streams_) weights_.push_back(stream.weight);
  for (int64_t i = 0; i < set.source_count(); ++i) pair_stream_names_.push_back(fmt::format("data.pair.{}", i));
  for (std::size_t i = 0; i < streams_.size(); ++i) order_names_.push_back(fmt::format("data.order.{}", i));
  check_sizes();
}

double PairSampler::weight_of_source(int64_t source, const DataConfig& config) const {
  const auto& weight = config.sources[static_cast<std::size_t>(source)].weight;
  return weight ? *weight : static_cast<double>(set_.source(source).size());
}

void PairSampler::add_streams(const TrainingSet& set, const DataConfig& config) {
  if (batch_from_ == BatchFrom::kAll && !has_weights(config)) {
    Stream all{.name = "all sources", .parts = {}, .size = 0, .weight = 1};
    for (int64_t source = 0; source < set.source_count(); ++source) {
      const int64_t count = set.source(source).size();
      all.parts.push_back({.source = source, .begin = all.size, .count = count, .rows = {}});
      all.size += count;
    }
    streams_.push_back(std::move(all));
    return;
  }
  for (int64_t source = 0; source < set.source_count(); ++source) {
    const PairSource& pairs = set.source(source);
    const SourceConfig& source_config = config.sources[static_cast<std::size_t>(source)];
    const std::string& name = set.summaries()[static_cast<std::size_t>(source)].name;
    const double share = weight_of_source(source, config);
    if (pairs.groups().size() == 1 || (batch_from_ == BatchFrom::kAll && source_config.group_weights.empty())) {
      group_weights(pairs.groups(), {pairs.size()}, source_config, name);
      streams_.push_back({.name = name,
                          .parts = {{.source = source, .begin = 0, .count = pairs.size(), .rows = {}}},
                          .size = pairs.size(),
                          .weight = share});
      continue;
    }
    std::vector<Part> parts(pairs.groups().size());
    for (int64_t row = 0; row < pairs.size(); ++row)
      parts[static_cast<std::size_t>(pairs.group_of(row))].rows.push_back(static_cast<uint32_t>(row));
    std::vector<int64_t> sizes;
    for (const Part& part : parts) sizes.push_back(std::ssize(part.rows));
    const std::vector<double> weights = group_weights(pairs.groups(), sizes, source_config, name);
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t group = 0; group < parts.size(); ++group) {
      if (weights[group] == 0) continue;
      parts[group].source = source;
      parts[group].count = sizes[group];
      Stream stream{.name = fmt::format("{} {}", name, pairs.groups()[group]),
                    .parts = {},
                    .size = sizes[group],
                    .weight = share * weights[group] / sum};
      stream.parts.push_back(std::move(parts[group]));
      streams_.push_back(std::move(stream));
    }
  }
}

void PairSampler::check_sizes() const {
  const double sum = std::accumulate(weights_.begin(), weights_.end(), 0.0);
  const bool shared = batch_from_ == BatchFrom::kAll && streams_.size() > 1;
  for (const Stream& stream : streams_) {
    const double share = shared ? stream.weight / sum : 1.0;
    const auto needed = static_cast<int64_t>(std::ceil(share * static_cast<double>(pairs_global_)));
    TRIREME_CHECK(stream.size >= needed, ConfigError, kWhere,
                  "{} must have the {} pairs that a batch takes of it; got {}; lower pairs_global or its weight.",
                  stream.name, needed, stream.size);
  }
}

PairSampler::Turn PairSampler::turn_of(int64_t step) const {
  if (streams_.size() == 1) return {0, step};
  if (batch_from_ == BatchFrom::kAll) return {kAllStreams, step};
  const std::vector<int64_t> before = apportion(weights_, step), after = apportion(weights_, step + 1);
  std::size_t stream = 0;
  while (after[stream] == before[stream]) ++stream;
  return {static_cast<int64_t>(stream), before[stream]};
}

std::vector<PairSampler::Run> PairSampler::runs(Turn turn) const {
  if (turn.stream != kAllStreams) {
    // What does not fill a batch at the end of an epoch is left out.
    const int64_t size = streams_[static_cast<std::size_t>(turn.stream)].size, per_epoch = size / pairs_global_;
    return {{turn.stream, turn.number / per_epoch * size + turn.number % per_epoch * pairs_global_, pairs_global_}};
  }
  const std::vector<int64_t> before = apportion(weights_, turn.number * pairs_global_);
  const std::vector<int64_t> after = apportion(weights_, (turn.number + 1) * pairs_global_);
  std::vector<Run> out;
  for (std::size_t stream = 0; stream < streams_.size(); ++stream) {
    if (after[stream] > before[stream])
      out.push_back({static_cast<int64_t>(stream), before[stream], after[stream] - before[stream]});
  }
  return out;
}

SampledPair PairSampler::pair_of(int64_t stream, int64_t index, int64_t epoch) const {
  const std::vector<Part>& parts = streams_[static_cast<std::size_t>(stream)].parts;
  const auto after =
      std::upper_bound(parts.begin(), parts.end(), index, [](int64_t i, const Part& part) { return i < part.begin; });
  const Part& part = *std::prev(after);
  const int64_t i = index - part.begin;
  return {part.source, part.rows.empty() ? i : int64_t{part.rows[static_cast<std::size_t>(i)]}, stream, epoch};
}

SampledPair PairSampler::pair_at(int64_t stream, int64_t position) {
  const int64_t size = streams_[static_cast<std::size_t>(stream)].size;
  const std::pair key(stream, position / size);
  auto found = orders_.find(key);
  if (found == orders_.end()) {
    // A window reaches into few epochs; those left behind go.
    constexpr std::size_t kOrdersKept = 4096;
    if (orders_.size() >= kOrdersKept) orders_.clear();
    const std::string& name = order_names_[static_cast<std::size_t>(stream)];
    found = orders_.emplace(key, Permutation(seed_, name, key.second, size)).first;
  }
  return pair_of(stream, found->second[position % size], key.second);
}

std::vector<SampledPair> PairSampler::natural_batch(Turn turn) {
  std::vector<SampledPair> pairs;
  for (const Run& run : runs(turn)) {
    for (int64_t i = 0; i < run.count; ++i) pairs.push_back(pair_at(run.stream, run.first + i));
  }
  return pairs;
}

std::vector<int64_t> PairSampler::keys_of(const SampledPair& pair) const {
  std::vector<int64_t> keys{key_of_row(pair)};
  if (distinct_ == Distinct::kNothing) return keys;
  PairIdentity identity = set_.source(pair.source).identity(pair.row, stream_of(pair));
  switch (distinct_) {
    case Distinct::kNothing:
      break;
    case Distinct::kTarget:
      keys.push_back(identity.target_id);
      break;
    case Distinct::kPositives: {
      auto& ids = identity.positive_ids;
      std::sort(ids.begin(), ids.end());
      ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
      keys.insert(keys.end(), ids.begin(), ids.end());
      break;
    }
    case Distinct::kConcept:
      keys.push_back(identity.concept_id);
      break;
  }
  return keys;
}

PairSampler::Window PairSampler::window_of(Turn turn) const {
  if (turn.stream == kAllStreams) {
    const int64_t first = turn.number / kWindowBatches * kWindowBatches;
    return {turn.stream, first, first + kWindowBatches, {}};
  }
  // Windows of one stream end with its epochs, and are about equally long.
  const int64_t per_epoch = streams_[static_cast<std::size_t>(turn.stream)].size / pairs_global_;
  const int64_t epoch = turn.number / per_epoch, at = turn.number % per_epoch;
  const int64_t windows = (per_epoch + kWindowBatches - 1) / kWindowBatches;
  const auto begin = [&](int64_t window) { return window * per_epoch / windows; };
  int64_t window = at * windows / per_epoch;
  while (begin(window + 1) <= at) ++window;
  return {turn.stream, epoch * per_epoch + begin(window), epoch * per_epoch + begin(window + 1), {}};
}

const PairSampler::Window& PairSampler::window_with(Turn turn) {
  for (const Window& window : windows_) {
    if (turn.stream == window.stream && turn.number >= window.first && turn.number < window.end) return window;
  }
  Window window = window_of(turn);
  std::vector<SampledPair> pairs;
  std::vector<std::vector<ClashItem>> natural;
  std::map<std::pair<int64_t, int64_t>, int64_t> kinds;
  for (int64_t number = window.first; number < window.end; ++number) {
    natural.emplace_back();
    for (const SampledPair& pair : natural_batch({turn.stream, number})) {
      const auto kind = kinds.try_emplace({pair.stream, pair.epoch}, std::ssize(kinds)).first->second;
      natural.back().push_back({std::ssize(pairs), kind, keys_of(pair)});
      pairs.push_back(pair);
    }
  }
  for (const SeparatedBatch& placed : separate_clashes(natural)) {
    GlobalBatch batch{.pairs = {}, .clashes = placed.clashes};
    for (const int64_t item : placed.items) batch.pairs.push_back(pairs[static_cast<std::size_t>(item)]);
    window.batches.push_back(std::move(batch));
  }
  // Two for each stream that takes turns: a replacement may ask for a step behind the one that is next.
  if (windows_.size() >= 2 * streams_.size()) windows_.pop_front();
  return windows_.emplace_back(std::move(window));
}

GlobalBatch PairSampler::batch(int64_t step) {
  TRIREME_ASSERT(step >= 0, "step {}", step);
  const Turn turn = turn_of(step);
  // Batches of all streams cross epochs, and the same pair must not come twice in one.
  if (distinct_ == Distinct::kNothing && turn.stream != kAllStreams)
    return {.pairs = natural_batch(turn), .clashes = 0};
  const Window& window = window_with(turn);
  return window.batches[static_cast<std::size_t>(turn.number - window.first)];
}

std::optional<SampledPair> PairSampler::replacement(int64_t step, int64_t global_row, int64_t attempt) {
  const GlobalBatch whole = batch(step);
  const int64_t stream = whole.pairs[static_cast<std::size_t>(global_row)].stream;
  RandomStream draws = random_stream(seed_, "data.replacement", step, global_row);
  uint64_t index = 0;
  for (int64_t i = 0; i <= attempt; ++i)
    index = draws.uniform_below(static_cast<uint64_t>(streams_[static_cast<std::size_t>(stream)].size));
  const SampledPair drawn = pair_of(stream, static_cast<int64_t>(index), -1 - step);
  const std::vector<int64_t> keys = keys_of(drawn);
  const std::unordered_set<int64_t> taken(keys.begin(), keys.end());
  for (std::size_t row = 0; row < whole.pairs.size(); ++row) {
    const std::vector<int64_t> others = keys_of(whole.pairs[row]);
    // Even without `distinct`, and even in the place of itself, the pair that cannot be read is no replacement.
    if (static_cast<int64_t>(row) == global_row) {
      if (others[0] == keys[0]) return std::nullopt;
      continue;
    }
    if (std::any_of(others.begin(), others.end(), [&](int64_t key) { return taken.contains(key); }))
      return std::nullopt;
  }
  return drawn;
}

RandomStream PairSampler::stream_of(const SampledPair& pair) const {
  return random_stream(seed_, pair_stream_names_[static_cast<std::size_t>(pair.source)], pair.epoch, pair.row);
}

}  // namespace trireme
