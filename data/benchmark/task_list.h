#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

class FieldList;

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

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// A row of the report: the plain mean over the tasks that name it.
struct TableRow {
  std::string id, label;
  bool in_mean = true;  ///< counted in the mean over the rows

  void describe(FieldList& v);
};

/// tasks.yaml of a dataset folder in M-BEIR's layout: what there is to evaluate, in the order of the report.
struct TaskList {
  std::string format = "trireme_tasks";
  int64_t format_version = 1;
  std::string dataset, instructions;
  std::vector<TableRow> rows;
  std::vector<EvalTask> tasks;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// throws DataError: no tasks.yaml in the folder. ConfigError: all that is wrong in it, ids given twice and rows that
/// are not listed too. The files that it names are not looked at.
TaskList read_task_list(const std::filesystem::path& dataset_folder);

}  // namespace trireme
