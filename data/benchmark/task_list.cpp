#include "data/benchmark/task_list.h"

#include <set>

#include "core/config/config.h"

namespace trireme {

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
