#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

/// One search to evaluate: a file of queries, the pool they search, and what counts as found. Paths are relative to the
/// dataset's folder.
struct EvalTask {
  std::string id;     ///< unique in the list: "task4_noto_to_emojione_test"
  std::string label;  ///< for people: "Noto -> EmojiOne"
  std::string row;    ///< id of the TableRow it is averaged into
  std::string set;    ///< "main", or the generalisation test it belongs to: "T2", "T3", "T4"
  std::string split;  ///< "val" or "test"
  int64_t task_id = 0;
  std::string query, pool, qrels;
  std::string global_pool, global_qrels;  ///< both or neither; "" = none
  int64_t queries = 0, candidates = 0;    ///< lines of `query` and of `pool`
  std::string floor;                      ///< id in a FloorTable; "" = none measured

  template <class V>
  void describe(V& v) {
    v.field("id", id, "Unique name.").required();
    v.field("label", label, "Name for people.").required();
    v.field("row", row, "Id of the table row that it is averaged into.").required();
    v.field("set", set, "main, or the generalisation test: T2, T3, T4.").required();
    v.field("split", split, "val or test.").one_of({"val", "test"});
    v.field("task_id", task_id, "M-BEIR's task id.").one_of({0, 1, 2, 3, 4, 6, 7, 8});
    v.field("query", query, "Query file.").required();
    v.field("pool", pool, "The task's own pool.").required();
    v.field("qrels", qrels, "Relevant candidates in the task's own pool.").required();
    v.field("global_pool", global_pool, "Pool of all tasks of the split.");
    v.field("global_qrels", global_qrels, "Relevant candidates in the pool of all tasks.");
    v.field("queries", queries, "Lines of the query file.").positive();
    v.field("candidates", candidates, "Lines of the pool.").positive();
    v.field("floor", floor, "Id in the table of floors.");
  }
  void check(Problems& problems) const;
};
static_assert(field_count<EvalTask>() == 14, "describe() must list every field");

/// A row of the report: the plain mean over the tasks that name it.
struct TableRow {
  std::string id, label;
  bool in_mean = true;  ///< counted in the mean over the rows

  template <class V>
  void describe(V& v) {
    v.field("id", id, "Unique name.").required();
    v.field("label", label, "Name for people.").required();
    v.field("in_mean", in_mean, "Whether the mean over the rows counts it.");
  }
};
static_assert(field_count<TableRow>() == 3, "describe() must list every field");

/// tasks.yaml of a dataset folder in M-BEIR's layout: what there is to evaluate, in the order of the report.
struct TaskList {
  std::string format = "trireme_tasks";
  int64_t format_version = 1;
  std::string dataset, instructions;
  std::vector<TableRow> rows;
  std::vector<EvalTask> tasks;

  template <class V>
  void describe(V& v) {
    v.field("format", format, "Kind of file.").one_of({"trireme_tasks"});
    v.field("format_version", format_version, "Version of the format.").one_of({1});
    v.field("dataset", dataset, "Name of the dataset.").required();
    v.field("instructions", instructions, "M-BEIR's instruction table.").required();
    v.field("rows", rows, "Rows of the report.").required();
    v.field("tasks", tasks, "What there is to evaluate.").required();
  }
  void check(Problems& problems) const;
};
static_assert(field_count<TaskList>() == 6, "describe() must list every field");

/// throws DataError: no tasks.yaml in the folder. ConfigError: all that is wrong in it, ids given twice and rows that
/// are not listed too. The files that it names are not looked at.
TaskList read_task_list(const std::filesystem::path& dataset_folder);

}  // namespace trireme
