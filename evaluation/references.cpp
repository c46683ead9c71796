#include "evaluation/references.h"

#include <algorithm>

#include "core/config/field_list.h"
#include "core/config/report.h"

namespace trireme {

void PublishedSystem::describe(FieldList& v) {
  v.field("name", name, "Name of the system.").required();
  v.field("pool", pool, "Which pool was searched.").one_of({"local", "global"});
  v.field("values", values, "Percent, in the order of tasks.").required().between(0, 100);
  v.field("average", average, "Percent, as published.").between(0, 100);
}
static_assert(field_count<PublishedSystem>() == 4, "describe() must list every field");

void PublishedTable::describe(FieldList& v) {
  v.field("benchmark", benchmark, "Name of the benchmark.").required();
  v.field("source", source, "Where the numbers were published.").required();
  v.field("tasks", tasks, "Ids of the benchmark's tasks.").required();
  v.field("systems", systems, "Their numbers.").required();
}
static_assert(field_count<PublishedTable>() == 4, "describe() must list every field");
namespace {

Estimate fraction(double percent, const std::vector<double>& interval = {}) {
  if (interval.size() != 2) return {percent / 100, {}, {}};
  return {percent / 100, interval[0] / 100, interval[1] / 100};
}

PoolResult pool_of(const Floor& floor) {
  return {floor.candidates,
          {{"recall@1", fraction(floor.recall_at_1, floor.recall_at_1_interval)},
           {"recall@5", fraction(floor.recall_at_5, floor.recall_at_5_interval)},
           {"recall@10", fraction(floor.recall_at_10)}}};
}

const Floor* find_floor(const FloorTable& floors, std::string_view id) {
  const auto found =
      std::find_if(floors.floors.begin(), floors.floors.end(), [&](const Floor& floor) { return floor.id == id; });
  return id.empty() || found == floors.floors.end() ? nullptr : &*found;
}

ResultRow row_of(std::string id, std::string label, PoolResult local) {
  ResultRow row{.id = std::move(id),
                .label = std::move(label),
                .row = "",
                .set = "main",
                .task_id = -1,
                .queries = 0,
                .in_mean = true,
                .headline = ""};
  row.local = std::move(local);
  return row;
}

/// The plain mean of each metric.
PoolResult mean_of(const std::vector<const PoolResult*>& pools) {
  PoolResult mean{0, pools.front()->metrics};
  for (auto& [name, estimate] : mean.metrics) {
    estimate = {};
    for (const PoolResult* pool : pools) estimate.value += pool->find(name)->value / static_cast<double>(pools.size());
  }
  return mean;
}

/// The floor of a row: its own, else the mean of its tasks' where all have one.
std::optional<PoolResult> row_floor(const FloorTable& floors, const Benchmark& benchmark, const TableRow& row,
                                    const std::vector<ResultRow>& tasks) {
  if (const Floor* floor = find_floor(floors, row.id)) return pool_of(*floor);
  std::vector<const PoolResult*> of_tasks;
  for (const BenchmarkTask& task : benchmark.tasks) {
    if (task.task.row != row.id) continue;
    const ResultRow* known = find_row(tasks, task.task.id);
    if (known == nullptr) return std::nullopt;
    of_tasks.push_back(&*known->local);
  }
  return mean_of(of_tasks);
}

}  // namespace

void PublishedTable::check(Problems& problems) const {
  for (const PublishedSystem& system : systems) {
    if (system.values.size() != tasks.size()) {
      problems.add("systems", fmt::format("must have a value for each of the {} tasks; got {} of {}; correct the table",
                                          tasks.size(), system.values.size(), system.name));
    }
  }
}

Reference reference_of(const FloorTable& floors, const Benchmark& benchmark) {
  Reference reference{"floor", floors.method, {}};
  ResultTable& table = reference.table;
  for (const BenchmarkTask& task : benchmark.tasks) {
    if (const Floor* floor = find_floor(floors, task.task.floor))
      table.tasks.push_back(row_of(task.task.id, task.task.label, pool_of(*floor)));
  }
  std::vector<const PoolResult*> counted;
  bool all = true;
  table.rows.reserve(benchmark.rows.size());
  for (const TableRow& row : benchmark.rows) {
    auto floor = row_floor(floors, benchmark, row, table.tasks);
    if (!floor) {
      all = all && !row.in_mean;
      continue;
    }
    table.rows.push_back(row_of(row.id, row.label, std::move(*floor)));
    if (row.in_mean) counted.push_back(&*table.rows.back().local);
  }
  if (all && !counted.empty()) table.mean = row_of("mean", "mean", mean_of(counted));
  return reference;
}

std::vector<Reference> references_of(const PublishedTable& published, const Benchmark& benchmark) {
  std::vector<const PublishedSystem*> systems;
  for (const PublishedSystem& system : published.systems) systems.push_back(&system);
  std::stable_sort(systems.begin(), systems.end(), [](const PublishedSystem* a, const PublishedSystem* b) {
    return std::pair(a->pool != "local", -a->average) < std::pair(b->pool != "local", -b->average);
  });
  std::vector<Reference> references;
  for (const PublishedSystem* system : systems) {
    Reference reference{system->name, published.source, {}};
    const auto pool = system->pool == "local" ? &ResultRow::local : &ResultRow::global;
    for (std::size_t i = 0; i < published.tasks.size(); ++i) {
      const auto task = std::find_if(benchmark.tasks.begin(), benchmark.tasks.end(),
                                     [&](const BenchmarkTask& known) { return known.task.id == published.tasks[i]; });
      if (task == benchmark.tasks.end()) continue;
      ResultRow row = row_of(task->task.id, task->task.label, {});
      row.local.reset();
      row.*pool = PoolResult{0, {{task->headline, fraction(system->values[i])}}};
      reference.table.tasks.push_back(row);
      row.id = task->task.row;
      reference.table.rows.push_back(std::move(row));
    }
    if (reference.table.tasks.size() == published.tasks.size()) {
      ResultRow mean = row_of("mean", "mean", {});
      mean.local.reset();
      mean.*pool = PoolResult{0, {{"headline", fraction(system->average)}}};
      reference.table.mean = std::move(mean);
    }
    references.push_back(std::move(reference));
  }
  return references;
}

}  // namespace trireme
