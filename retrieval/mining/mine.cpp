#include "retrieval/mining/mine.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <unordered_set>

#include "core/config/choice.h"
#include "core/distributed/agreement.h"
#include "core/elapsed.h"
#include "core/error.h"
#include "core/io/hash.h"
#include "data/sources/candidate_pool.h"
#include "data/sources/qrels.h"
#include "data/sources/query_line.h"
#include "retrieval/checkpoint_embedder.h"
#include "retrieval/kept_embeddings.h"
#include "retrieval/mining/balance.h"
#include "retrieval/mining/searched_pool.h"
#include "retrieval/mining/work_folder.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

RecordOptions query_options(const MineSourceConfig& source) {
  RecordOptions options;
  options.prompt_number = source.prompt_number;
  options.plain_queries = source.instruction == InstructionChoice::kNone;
  options.allow_modality_mismatch = source.allow_modality_mismatch;
  if (!options.plain_queries) options.instructions.emplace(source.root / source.instructions.value());
  if (source.instruction == InstructionChoice::kRandom) options.instruction_seed = static_cast<uint64_t>(source.seed);
  return options;
}

/// A file of records of the work folder, and where its embeddings are kept.
struct MiningFile {
  std::string name;
  fs::path path;
  RecordFile records;
  Fingerprint fingerprint = {};  ///< of its embeddings, once they are there
};

/// All ranks: the source's files, divided.
struct MiningSet {
  MiningPlan plan;
  std::vector<std::unique_ptr<MiningFile>> parts, groups;

  MiningSet(const MineSourceConfig& source, MiningPlan planned, const fs::path& folder) : plan(std::move(planned)) {
    const auto open = [](const std::string& name, const fs::path& path, const RecordOptions& options) {
      return std::make_unique<MiningFile>(MiningFile{name, path, RecordFile(path, options)});
    };
    for (const PoolPart& part : plan.parts) {
      RecordOptions of_pool;
      of_pool.allow_modality_mismatch = source.allow_modality_mismatch;
      parts.push_back(open(part.name, pool_part_file(folder, part), of_pool));
    }
    const RecordOptions options = query_options(source);
    for (const QueryGroup& group : plan.groups)
      groups.push_back(open(group.name, query_group_file(folder, group), options));
  }
  int64_t queries() const {
    int64_t queries = 0;
    for (const QueryGroup& group : plan.groups) queries += group.queries;
    return queries;
  }
};

/// One job, on one rank.
class MiningJob {
 public:
  MiningJob(const Resolved<MineConfig>& config, Communicator& communicator, const MineEvents& events)
      : config_(config),
        source_(config->source),
        image_root_(source_.image_root.value_or(source_.root), source_.follow_links),
        communicator_(communicator),
        events_(events),
        work_(config->out) {}

  MineReport run(c10::Device device) {
    const auto begin = Clock::now();
    CheckpointEmbedder embedder(config_->embed, device);
    if (!config_->filters.known_positives.empty()) open_known_positives();
    const std::string plan = broadcast_string(communicator_, is_first() ? begin_work() : "", 0);
    const MiningSet set(source_, *Resolved<MiningPlan>::from(ConfigSource::parse(plan, "plan")), work_.path());
    for (const auto* files : {&set.parts, &set.groups})
      for (const auto& file : *files) embedder.require_fits(file->records, image_root_);
    embedder.load(communicator_);
    report_.plan = set.plan;
    report_.unused = embedder.unused();
    report_.prepare_s = seconds_since(begin);

    const auto embed_begin = Clock::now();
    embed(set, embedder);
    report_.embed_s = seconds_since(embed_begin);
    const auto mine_begin = Clock::now();
    describe_output(set);
    std::vector<std::vector<fs::path>> lists;
    for (std::size_t group = 0; group < set.groups.size(); ++group) lists.push_back(mine_group(set, group));
    if (is_first()) join(lists);
    communicator_.barrier();
    report_.mine_s = seconds_since(mine_begin);
    return std::move(report_);
  }

 private:
  bool is_first() const { return communicator_.rank() == 0; }

  void open_known_positives() {
    std::vector<fs::path> files;
    for (const fs::path& file : config_->filters.known_positives) files.push_back(source_.root / file);
    known_positives_.emplace(files);
  }

  /// Rank 0: the plan, as text.
  std::string begin_work() const {
    work_.open(config_, events_.notice);
    return dump(split_source(source_, config_->depth, work_.path()));
  }

  void embed(const MiningSet& set, CheckpointEmbedder& embedder) {
    retriever_ = embedder.info(communicator_);
    int64_t all = 0, done = 0;
    for (const auto* files : {&set.parts, &set.groups})
      for (const auto& file : *files) all += file->records.size();
    for (const auto* files : {&set.parts, &set.groups}) {
      for (const auto& file : *files) {
        const int64_t size = file->records.size();
        const fs::path path = work_.embeddings(file->name);
        KeptFile kept = keep_embeddings(
            path, {file->records, image_root_}, embedder,
            {.info = retriever_, .config_sha256 = config_sha256(config_->embed), .store = config_->store},
            // A rank's share is told as its part of the file, so that the sum over files ends at the total.
            communicator_, [&](int64_t d, int64_t of) {
              events_.progress("embed", "records", done + (of > 0 ? d * size / of : size), all);
            });
        done += size;
        if (kept.reused) report_.embedded_before += size;
        if (is_first() && !kept.replaced.empty())
          events_.notice(fmt::format("{} was embedded anew: {}", path.string(), kept.replaced));
        file->fingerprint = std::move(kept.fingerprint);
      }
    }
    report_.records = all;
  }

  /// What lists of a group follow from beside the config.
  Fingerprint fingerprint_of(const MiningSet& set, std::size_t group) const {
    std::vector<Fingerprint> files{set.groups[group]->fingerprint};
    for (const int64_t part : set.plan.groups[group].parts)
      files.push_back(set.parts[static_cast<std::size_t>(part)]->fingerprint);
    return combined(files);
  }

  void describe_output(const MiningSet& set) {
    std::vector<Fingerprint> files;
    for (const auto* each : {&set.groups, &set.parts})
      for (const auto& file : *each) files.push_back(file->fingerprint);
    const fs::path pool = source_.root / source_.pool;
    FilterConfig filters = config_->filters;
    output_ = {.model = retriever_.model,
               .model_sha256 = retriever_.model_sha256,
               .adapter_sha256 = retriever_.adapter_sha256,
               .rope_mode = retriever_.rope_mode,
               .corpus = fmt::format("{}, {}", source_.pool.string(), choice_name(source_.scope)),
               .corpus_sha256 = is_first() ? sha256_hex_of_files(std::span(&pool, 1)) : "",
               .filters = emit_yaml_inline(FieldList(filters).write(DumpScope::kAll)),
               .config_sha256 = config_.sha256(),
               .depth = config_->depth,
               .counts = {},
               .prior = {},
               .fingerprint = combined(files)};
  }

  /// Rank 0: what lists depend on beside the config, in one hash with it.
  std::string lists_sha256(const MiningSet& set, std::size_t group) const {
    std::vector<fs::path> files{set.groups[group]->path};
    for (const int64_t part : set.plan.groups[group].parts)
      files.push_back(set.parts[static_cast<std::size_t>(part)]->path);
    for (const fs::path& file : config_->filters.known_positives) files.push_back(source_.root / file);
    const std::string of = config_.sha256() + fingerprint_of(set, group).sha256() + sha256_hex_of_files(files);
    return sha256_hex(std::as_bytes(std::span(of)));
  }

  /// The files of its lists.
  std::vector<fs::path> mine_group(const MiningSet& set, std::size_t group) {
    std::vector<fs::path> lists;
    const MiningFile& queries = *set.groups[group];
    HardNegativesInfo info = output_;
    info.config_sha256 = is_first() ? lists_sha256(set, group) : "";
    info.fingerprint = fingerprint_of(set, group);
    std::optional<EmbeddingsReader> vectors;
    std::optional<SearchedPool> pool;
    const int64_t of = queries.records.size();
    for (int64_t first = 0; first < of; first += config_->block_queries) {
      const QueryRange range{first, std::min(first + config_->block_queries, of)};
      lists.push_back(work_.lists(queries.name, range));
      const bool done = is_first() && work_.has_lists(lists.back(), info, events_.notice);
      ++report_.blocks;
      if (broadcast_int64s(communicator_, {int64_t{done}}, 0).at(0) == 1) {
        ++report_.blocks_done_before;
      } else {
        if (!pool) {
          vectors.emplace(work_.embeddings(queries.name));
          pool.emplace(open_pool(set, group));
        }
        mine_lists(queries, *vectors, *pool, range, info, lists.back(), set.queries());
      }
      queries_done_ += range.end - range.begin;
      events_.progress("mine", "queries", queries_done_, set.queries());
    }
    return lists;
  }

  SearchedPool open_pool(const MiningSet& set, std::size_t group) const {
    std::vector<fs::path> embeddings;
    std::vector<const RecordFile*> records;
    for (const int64_t part : set.plan.groups[group].parts) {
      const MiningFile& file = *set.parts[static_cast<std::size_t>(part)];
      embeddings.push_back(work_.embeddings(file.name));
      records.push_back(&file.records);
    }
    return {embeddings, std::move(records), image_root_,
            config_->filters.same_concept ? PoolFacts::Concepts::kRead : PoolFacts::Concepts::kIgnored};
  }

  MiningQuery query_at(const RecordFile& records, int64_t row, const IdTable& ids) const {
    const std::string where = records.where(row);
    const QueryLine line = parse_query(records.line(row), where, source_.allow_modality_mismatch);
    const auto rows_of = [&](const auto& dids) {
      std::vector<int64_t> rows;
      std::unordered_set<int64_t> known;
      for (const auto& did : dids)
        if (const auto found = ids.find(did); found && known.insert(*found).second) rows.push_back(*found);
      return rows;
    };
    MiningQuery query{
        .id = line.qid, .where = where, .positives = rows_of(line.positives), .excluded = rows_of(line.excluded)};
    if (known_positives_) {
      std::vector<std::string_view> dids;
      for (const JudgedDocument& judged : known_positives_->relevant(line.qid)) dids.push_back(judged.did);
      query.known_positives = rows_of(dids);
    }
    if (config_->filters.same_concept && !line.concept_key.empty()) query.concept_id = document_id(line.concept_key);
    return query;
  }

  void mine_lists(const MiningFile& file, const EmbeddingsReader& vectors, SearchedPool& pool, QueryRange range,
                  HardNegativesInfo info, const fs::path& out, int64_t all_queries) {
    const int64_t count = range.end - range.begin;
    std::vector<MiningQuery> queries;
    for (int64_t row = range.begin; row < range.end; ++row) queries.push_back(query_at(file.records, row, pool.ids()));
    const MinedBlock mined = mine_block(
        vectors.read(range.begin, count), queries, pool.view(), config_->depth, config_->filters, config_->search,
        communicator_, [&](int64_t d, int64_t of) {
          events_.progress("mine", "queries", queries_done_ + (of > 0 ? d * count / of : count), all_queries);
        });
    if (!is_first()) return;
    info.counts = mined.counts;
    HardNegativesWriter writer(out);
    writer.write(mined.queries);
    writer.commit(info);
  }

  static constexpr int64_t kQueriesAtOnce = 1024;

  /// visit(query) for every query of the file, in order.
  template <class Visit>
  static void for_each_query(const HardNegativesFile& block, const Visit& visit) {
    for (int64_t first = 0; first < block.queries(); first += kQueriesAtOnce)
      for (MinedQuery& query : block.read(first, std::min(kQueriesAtOnce, block.queries() - first)))
        visit(std::move(query));
  }

  /// The query with what balancing draws of its negatives; nullopt: left out as empty.
  std::optional<MinedQuery> balanced(MinedQuery query, const BalancedDraw& balance, int64_t row) {
    MinedQuery drawn = balance.draw(query, *config_->filters.balance,
                                    random_stream(static_cast<uint64_t>(source_.seed), "mine.balance", row));
    const bool is_empty = std::ranges::all_of(drawn.documents, &MinedDocument::positive);
    if (is_empty) {
      TRIREME_CHECK(config_->filters.on_empty != OnEmpty::kFail, DataError, "mine",
                    "every list must hold a document that is gold for another query, to balance; got none for {}; "
                    "raise depth, or change filters.on_empty.",
                    query.id);
      if (config_->filters.on_empty == OnEmpty::kKeepUnfiltered) {
        ++output_.counts.emptied_unfiltered;
        return query;
      }
      ++output_.counts.emptied_dropped;
    }
    output_.counts.balance += std::ssize(query.documents) - std::ssize(drawn.documents);
    if (is_empty) return std::nullopt;
    return drawn;
  }

  /// Rank 0: all blocks as one file, whose bytes do not tell how large they were.
  void join(const std::vector<std::vector<fs::path>>& groups) {
    output_.counts.missing_positives = report_.plan.missing_positives;
    output_.counts.queries_without_positives = report_.plan.queries_without_positives;
    HardNegativesWriter writer(config_->out);
    std::vector<MinedQuery> waiting;
    DocumentPrior sum{0, 0};
    for (const std::vector<fs::path>& lists : groups) {
      ListTable all;
      std::optional<BalancedDraw> balance;
      if (config_->filters.balance) {
        for (const fs::path& path : lists)
          for_each_query(HardNegativesFile::open(path), [&](const MinedQuery& query) { all.add(query); });
        balance.emplace(all);
      }
      DocumentShares kept;
      int64_t row = 0;
      const auto take = [&](MinedQuery&& found) {
        std::optional<MinedQuery> query = std::move(found);
        if (balance) query = balanced(std::move(*query), *balance, row++);
        if (!query) return;
        kept.add(*query);
        report_.documents += std::ssize(query->documents);
        report_.positive_documents += std::ranges::count(query->documents, true, &MinedDocument::positive);
        waiting.push_back(std::move(*query));
        if (std::ssize(waiting) < kQueriesAtOnce) return;
        writer.write(waiting);
        waiting.clear();
      };
      for (const fs::path& path : lists) {
        const HardNegativesFile block = HardNegativesFile::open(path);
        output_.counts += block.info().counts;
        for_each_query(block, take);
      }
      const DocumentPrior prior = kept.prior();
      report_.group_priors.push_back(prior);
      sum.accuracy += prior.accuracy * static_cast<double>(kept.queries());
      sum.nats += prior.nats * static_cast<double>(kept.queries());
      report_.queries += kept.queries();
    }
    writer.write(waiting);
    report_.counts = output_.counts;
    TRIREME_CHECK(report_.queries > 0, DataError, "mine",
                  "a query must be left; got none of {} after the filters; loosen filters, or set filters.on_empty: "
                  "keep_unfiltered.",
                  output_.counts.emptied_dropped);
    const auto queries = static_cast<double>(report_.queries);
    output_.prior = report_.prior = {sum.accuracy / queries, sum.nats / queries};
    writer.commit(output_);
    work_.close(config_->keep_work);
  }

  const Resolved<MineConfig>& config_;
  const MineSourceConfig& source_;
  const ImageRoot image_root_;
  Communicator& communicator_;
  const MineEvents& events_;
  const WorkFolder work_;
  std::optional<Qrels> known_positives_;
  EmbeddingsInfo retriever_;
  HardNegativesInfo output_;
  MineReport report_;
  int64_t queries_done_ = 0;
};

}  // namespace

MineReport mine(const Resolved<MineConfig>& config, Communicator& communicator, const MineEvents& events,
                c10::Device device) {
  return MiningJob(config, communicator, events).run(device);
}

}  // namespace trireme
