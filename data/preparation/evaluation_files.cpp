#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "core/config/choice.h"
#include "core/config/config.h"
#include "core/error.h"
#include "data/preparation/benchmark_files.h"

namespace trireme {
namespace {

using Queries = std::vector<QueryRecord>;

/// Numbers of candidates, ascending.
struct Pool {
  std::string name;
  std::vector<int64_t> numbers;
  bool holds(int64_t number) const { return std::binary_search(numbers.begin(), numbers.end(), number); }
};

/// A task before its files are named.
struct Plan {
  std::string name;  ///< of the queries, in file names; the same for val and test
  std::string label, row, set;
  Queries queries;
  std::string pool;
  std::string floor;
};

std::string_view artist(Style style) {
  constexpr std::string_view kArtists[] = {"Noto", "EmojiOne", "Symbola"};
  return kArtists[static_cast<std::size_t>(style)];
}

const std::vector<TableRow>& table_rows() {
  static const std::vector<TableRow> kRows = {
      {"task4", "picture -> the same by another artist", true},
      {"task0_keywords", "keywords -> picture", true},
      {"task0_name", "name -> picture", true},
      {"task3", "picture -> name", true},
      {"task1_keywords", "keywords -> English name", true},
      {"task1_languages", "name in de, fr, zh, ru -> English name", true},
      {"task1_other_languages", "name in ja, es, ar, hi, ko, vi -> English name", false},
      {"task1_sw", "name in sw (never trained) -> English name", false},
      {"task2", "name -> picture with keywords", true},
      {"task6", "picture -> its name in en, de, zh, fr, ru", true},
      {"task7_style", "picture, another style -> picture", true},
      {"task7_tone", "picture, a skin tone -> picture", true},
      {"task8", "picture -> another artist's, with keywords", true},
      {"T2_task0", "T2 seen concept, unseen style: name -> Symbola", false},
      {"T2_task3", "T2 seen concept, unseen style: Symbola -> name", false},
      {"T2_task4", "T2 seen concept, unseen style: picture -> picture", false},
      {"T3_task0", "T3 new concept, unseen style: name -> Symbola", false},
      {"T3_task3", "T3 new concept, unseen style: Symbola -> name", false},
      {"T3_task4", "T3 new concept, unseen style: picture -> picture", false},
      {"T4_task0", "T4 another domain: caption -> stamp", false},
      {"T4_task3", "T4 another domain: stamp -> caption", false},
  };
  return kRows;
}

/// The pools of one split; names of styles are choice names.
class Pools {
 public:
  Pools(const PictogramQueries& pictograms, Split split) : pictograms_(pictograms), split_(split) {
    for (Style style : kStyles) {
      const auto s = static_cast<std::size_t>(style);
      add(std::string(choice_name(style)), [s](const PictogramCandidates& c, auto take) { take(c.picture[s]); });
      add(fmt::format("{}_keywords", choice_name(style)),
          [s](const PictogramCandidates& c, auto take) { take(c.described[s]); });
    }
    add("artists", [](const PictogramCandidates& c, auto take) {
      for (int64_t n : c.picture) take(n);
    });
    add("artists_keywords", [](const PictogramCandidates& c, auto take) {
      for (int64_t n : c.described) take(n);
    });
    add("names", [](const PictogramCandidates& c, auto take) { take(c.name[0]); });
    add("languages", [](const PictogramCandidates& c, auto take) {
      for (std::size_t l = 0; l < kLanguages.size(); ++l) {
        if (std::find(kAskedLanguages.begin(), kAskedLanguages.end(), kLanguages[l]) != kAskedLanguages.end())
          take(c.name[l]);
      }
    });
    add("tones", [](const PictogramCandidates& c, auto take) {
      if (c.toned[0] == PictogramCandidates::kNone) return;
      take(c.picture[0]);
      for (int64_t n : c.toned) take(n);
    });
  }

  const Pool& operator[](const std::string& name) const { return pools_.at(name); }
  Pool all() const {
    std::set<int64_t> numbers;
    for (const auto& [name, pool] : pools_) numbers.insert(pool.numbers.begin(), pool.numbers.end());
    return {"union", {numbers.begin(), numbers.end()}};
  }

 private:
  using Take = std::function<void(int64_t)>;
  void add(const std::string& name, const std::function<void(const PictogramCandidates&, Take)>& choose) {
    Pool pool{name, {}};
    for (std::size_t i = 0; i < pictograms_.pictograms().size(); ++i) {
      if (pictograms_.pictograms()[i].split != split_) continue;
      choose(pictograms_.numbers()[i], [&](int64_t number) {
        if (number != PictogramCandidates::kNone) pool.numbers.push_back(number);
      });
    }
    std::sort(pool.numbers.begin(), pool.numbers.end());
    pools_.emplace(name, std::move(pool));
  }

  const PictogramQueries& pictograms_;
  Split split_;
  std::map<std::string, Pool> pools_;
};

std::string plain_name(Style style) { return std::string(choice_name(style)); }

void add_artist_plans(const PictogramQueries& p, Split split, std::vector<Plan>& plans) {
  constexpr std::pair<Style, Style> kOrder[] = {
      {Style::kNoto, Style::kEmojiOne}, {Style::kEmojiOne, Style::kNoto},    {Style::kNoto, Style::kSymbola},
      {Style::kSymbola, Style::kNoto},  {Style::kEmojiOne, Style::kSymbola}, {Style::kSymbola, Style::kEmojiOne}};
  for (const auto& [from, to] : kOrder) {
    const std::string name = fmt::format("{}_to_{}", plain_name(from), plain_name(to));
    plans.push_back({name, fmt::format("{} -> {}", artist(from), artist(to)), "task4", "main",
                     p.picture_to_artist(split, from), plain_name(to), "task4_" + name});
  }
}

void add_language_plans(const PictogramQueries& p, Split split, std::vector<Plan>& plans) {
  const auto add = [&](std::string_view language, const char* row, bool has_floor) {
    plans.push_back({fmt::format("{}_to_name", language), fmt::format("name in {} -> English name", language), row,
                     "main", p.name_to_english(split, language), "names",
                     has_floor ? fmt::format("task1_{}", language) : std::string()});
  };
  for (std::string_view language : {"de", "fr", "zh", "ru"}) add(language, "task1_languages", true);
  for (std::string_view language : {"ja", "es", "ar", "hi", "ko", "vi"}) add(language, "task1_other_languages", false);
  add(kUnseenLanguage, "task1_sw", true);
}

/// The table of the report, for val and test alike.
std::vector<Plan> main_plans(const PictogramQueries& p, Split split) {
  std::vector<Plan> plans;
  add_artist_plans(p, split, plans);
  for (Style style : kStyles) {
    plans.push_back({"keywords_to_" + plain_name(style), fmt::format("keywords -> {}", artist(style)), "task0_keywords",
                     "main", p.keywords_to_picture(split), plain_name(style),
                     "task0_keywords_to_" + plain_name(style)});
  }
  for (Style style : kStyles) {
    plans.push_back({"name_to_" + plain_name(style), fmt::format("name -> {}", artist(style)), "task0_name", "main",
                     p.name_to_picture(split, kLanguages[0]), plain_name(style), ""});
  }
  for (Style style : kStyles) {
    const std::string name = plain_name(style) + "_to_name";
    plans.push_back({name, fmt::format("{} -> name", artist(style)), "task3", "main", p.picture_to_name(split, style),
                     "names", "task3_" + name});
  }
  plans.push_back({"keywords_to_name", "keywords -> English name", "task1_keywords", "main", p.keywords_to_name(split),
                   "names", "task1_keywords"});
  add_language_plans(p, split, plans);
  for (Style style : kStyles) {
    plans.push_back({"name_to_" + plain_name(style) + "_keywords",
                     fmt::format("name -> {} with keywords", artist(style)), "task2", "main",
                     p.name_to_described(split), plain_name(style) + "_keywords", ""});
  }
  plans.push_back({"noto_to_languages", "Noto -> its name in en, de, zh, fr, ru", "task6", "main",
                   p.picture_to_language(split, Style::kNoto, kAskedLanguages), "languages", "task6"});
  plans.push_back({"style", "picture, another style -> picture", "task7_style", "main", p.picture_to_style(split),
                   "artists", "task7_style"});
  plans.push_back({"tone", "picture, a skin tone -> picture", "task7_tone", "main", p.picture_to_tone(split, false),
                   "tones", "task7_tone"});
  plans.push_back({"artist_keywords", "picture -> another artist's, with keywords", "task8", "main",
                   p.picture_to_described(split), "artists_keywords", "task8"});
  return plans;
}

/// What a model that never saw Symbola is asked: on train concepts this is T2, on test concepts T3.
std::vector<Plan> unseen_style_plans(const PictogramQueries& p, Split split, const std::string& set) {
  std::vector<Plan> plans;
  plans.push_back({"name_to_symbola", "name -> Symbola", set + "_task0", set, p.name_to_picture(split, kLanguages[0]),
                   "symbola", ""});
  plans.push_back({"symbola_to_name", "Symbola -> name", set + "_task3", set, p.picture_to_name(split, Style::kSymbola),
                   "names", ""});
  add_artist_plans(p, split, plans);
  std::erase_if(plans, [](const Plan& plan) { return plan.name.find("symbola") == std::string::npos; });
  for (Plan& plan : plans) {
    if (plan.set == set) continue;
    plan.set = set;
    plan.row = set + "_task4";
    if (split != Split::kTest) plan.floor.clear();
  }
  return plans;
}

std::string lines_of(const Pool& pool, const CandidateTable& candidates) {
  std::string text;
  for (int64_t number : pool.numbers) text += candidates.line(number);
  return text;
}

std::vector<int64_t> held(const std::vector<int64_t>& numbers, const Pool& pool) {
  std::vector<int64_t> kept;
  std::copy_if(numbers.begin(), numbers.end(), std::back_inserter(kept), [&](int64_t n) { return pool.holds(n); });
  return kept;
}

/// Writes the files of one dataset's tasks into one split's folders.
class TaskWriter {
 public:
  TaskWriter(std::string dataset, std::string split, const CandidateTable& candidates, DatasetWriter& out)
      : dataset_(std::move(dataset)), split_(std::move(split)), candidates_(candidates), out_(out) {}

  void set_global(const Pool& pool) {
    global_ = &pool;
    global_path_ = fmt::format("cand_pool/global/mbeir_union_{}_cand_pool.jsonl", split_);
    out_.write(global_path_, lines_of(pool, candidates_));
  }

  /// Leaves out the queries that the pool does not answer; with none left there is no task.
  void add(Plan plan, const Pool& pool, int64_t& next_query, TaskList& list) {
    std::erase_if(plan.queries, [&](const QueryRecord& query) { return held(query.positives, pool).empty(); });
    if (plan.queries.empty()) return;
    EvalTask task;
    task.task_id = plan.queries[0].task_id;
    task.id = fmt::format("{}task{}_{}_{}", plan.set == "main" ? "" : plan.set + "_", task.task_id, plan.name, split_);
    task.label = plan.label;
    task.row = plan.row;
    task.set = plan.set;
    task.split = split_;
    task.queries = std::ssize(plan.queries);
    task.candidates = std::ssize(pool.numbers);
    if (split_ == "test") task.floor = plan.floor;
    const std::string name = fmt::format("mbeir_{}_{}_task{}_{}", dataset_, plan.name, task.task_id, split_);
    task.pool = write_pool(pool);
    std::string queries, qrels, global_qrels;
    for (QueryRecord& query : plan.queries) {
      query.number = next_query++;
      const std::vector<int64_t> positives = held(query.positives, pool);
      queries += query_line(query, positives, candidates_);
      qrels += qrels_lines(query, positives, candidates_);
      if (global_) global_qrels += qrels_lines(query, held(query.positives, *global_), candidates_);
    }
    task.query = write(fmt::format("query/{}/{}.jsonl", split_, name), queries);
    task.qrels = write(fmt::format("qrels/{}/{}_qrels.txt", split_, name), qrels);
    if (global_) {
      task.global_pool = global_path_;
      task.global_qrels = write(fmt::format("qrels/{}/{}_global_qrels.txt", split_, name), global_qrels);
    }
    list.tasks.push_back(std::move(task));
  }

 private:
  std::string write(std::string path, std::string_view content) {
    out_.write(path, content);
    return path;
  }
  std::string write_pool(const Pool& pool) {
    std::string path = fmt::format("cand_pool/local/mbeir_{}_{}_{}_cand_pool.jsonl", dataset_, pool.name, split_);
    if (pools_written_.insert(path).second) out_.write(path, lines_of(pool, candidates_));
    return path;
  }

  std::string dataset_, split_;
  const CandidateTable& candidates_;
  DatasetWriter& out_;
  const Pool* global_ = nullptr;
  std::string global_path_;
  std::set<std::string> pools_written_;
};

void add_main_tasks(const PictogramQueries& pictograms, Split split, int64_t& next, DatasetWriter& out,
                    TaskList& list) {
  const Pools pools(pictograms, split);
  const Pool all = pools.all();
  TaskWriter writer("pictograms", std::string(choice_name(split)), pictograms.candidates(), out);
  writer.set_global(all);
  for (Plan& plan : main_plans(pictograms, split)) {
    const Pool& pool = pools[plan.pool];
    writer.add(std::move(plan), pool, next, list);
  }
}

/// T2 asks about train concepts, but its files are test files: nothing is chosen by them.
void add_seen_concepts(const PictogramQueries& pictograms, int64_t& next, DatasetWriter& out, TaskList& list) {
  const Pools pools(pictograms, Split::kTrain);
  TaskWriter writer("pictograms_seen", "test", pictograms.candidates(), out);
  for (Plan& plan : unseen_style_plans(pictograms, Split::kTrain, "T2")) {
    const Pool& pool = pools[plan.pool];
    writer.add(std::move(plan), pool, next, list);
  }
}

/// T3 is tasks of the main set under other names: what makes it a test of both is how the model was trained.
void add_new_concepts(const PictogramQueries& pictograms, TaskList& list) {
  std::vector<EvalTask> found;
  for (const Plan& plan : unseen_style_plans(pictograms, Split::kTest, "T3")) {
    for (const EvalTask& task : list.tasks) {
      if (task.set != "main" || !task.id.ends_with("_" + plan.name + "_test")) continue;
      EvalTask copy = task;
      copy.id = "T3_" + task.id;
      copy.set = plan.set;
      copy.row = plan.row;
      found.push_back(std::move(copy));
    }
  }
  list.tasks.insert(list.tasks.end(), found.begin(), found.end());
}

Pool stamp_pool(const StampQueries& stamps, Split split, bool pictures) {
  Pool pool{pictures ? "pictures" : "captions", {}};
  for (int64_t number = 0; number < stamps.candidates().size(); ++number) {
    const CandidateRecord& record = stamps.candidates()[number];
    if (record.split == split && record.image.empty() != pictures) pool.numbers.push_back(number);
  }
  return pool;
}

void add_stamps(const StampQueries& stamps, Split split, int64_t& next, DatasetWriter& out, TaskList& list) {
  TaskWriter writer("stamps", std::string(choice_name(split)), stamps.candidates(), out);
  writer.add({"caption_to_stamp", "caption -> stamp", "T4_task0", "T4", stamps.caption_to_stamp(split), "", ""},
             stamp_pool(stamps, split, true), next, list);
  writer.add({"stamp_to_caption", "stamp -> caption", "T4_task3", "T4", stamps.stamp_to_caption(split), "", ""},
             stamp_pool(stamps, split, false), next, list);
}

}  // namespace

TaskList write_evaluation_files(const PictogramQueries& pictograms, const StampQueries& stamps, NextQuery next,
                                DatasetWriter& out) {
  TaskList list;
  list.dataset = "pictograms";
  list.instructions = "instructions/query_instructions.tsv";
  for (Split split : {Split::kVal, Split::kTest}) {
    add_main_tasks(pictograms, split, next.pictograms, out, list);
    if (split == Split::kTest) {
      add_seen_concepts(pictograms, next.pictograms, out, list);
      add_new_concepts(pictograms, list);
    }
    add_stamps(stamps, split, next.stamps, out, list);
  }
  for (const TableRow& row : table_rows()) {
    if (std::any_of(list.tasks.begin(), list.tasks.end(), [&](const EvalTask& task) { return task.row == row.id; }))
      list.rows.push_back(row);
  }
  out.write("tasks.yaml", dump(list));
  return list;
}

}  // namespace trireme
