#include "data/benchmark/task_list.h"

#include <set>

#include "core/config/config.h"

namespace trireme {

void EvalTask::describe(FieldList& v) {
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
static_assert(field_count<EvalTask>() == 14, "describe() must list every field");

void TableRow::describe(FieldList& v) {
  v.field("id", id, "Unique name.").required();
  v.field("label", label, "Name for people.").required();
  v.field("in_mean", in_mean, "Whether the mean over the rows counts it.");
}
static_assert(field_count<TableRow>() == 3, "describe() must list every field");

void TaskList::describe(FieldList& v) {
  v.field("format", format, "Kind of file.").one_of({"trireme_tasks"});
  v.field("format_version", format_version, "Version of the format.").one_of({1});
  v.field("dataset", dataset, "Name of the dataset.").required();
  v.field("instructions", instructions, "M-BEIR's instruction table.").required();
  v.field("rows", rows, "Rows of the report.").required();
  v.field("tasks", tasks, "What there is to evaluate.").required();
}
static_assert(field_count<TaskList>() == 6, "describe() must list every field");

void EvalTask::check(Problems& problems) const {
  if (global_pool.empty() != global_qrels.empty()) {
    problems.add("global_qrels",
                 fmt::format("must be given together with global_pool; got \"{}\" and \"{}\"; give both", global_qrels,
                             global_pool));
  }
}

void TaskList::check(Problems& problems) const {
  std::set<std::string_view> row_ids, task_ids;
  for (const TableRow& row : rows) {
    if (!row_ids.insert(row.id).second)
      problems.add("rows", fmt::format("must have unique ids; got {} twice; rename one", row.id));
  }
  for (const EvalTask& task : tasks) {
    if (!task_ids.insert(task.id).second)
      problems.add("tasks", fmt::format("must have unique ids; got {} twice; rename one", task.id));
    if (!row_ids.contains(task.row)) {
      problems.add("tasks",
                   fmt::format("must name a row of the list; got {} in {}; add it to rows", task.row, task.id));
    }
  }
}

TaskList read_task_list(const std::filesystem::path& dataset_folder) {
  return *load_config<TaskList>(dataset_folder / "tasks.yaml");
}

}  // namespace trireme
