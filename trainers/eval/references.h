#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/field_count.h"
#include "data/benchmark/floor_table.h"
#include "retrieval/report/results.h"
#include "trainers/eval/benchmark.h"

namespace trireme {

/// One system's published numbers, in percent: of each task the metric that is its headline.
struct PublishedSystem {
  std::string name, pool = "local";
  std::vector<double> values;
  double average = 0;

  template <class V>
  void describe(V& v) {
    v.field("name", name, "Name of the system.").required();
    v.field("pool", pool, "Which pool was searched.").one_of({"local", "global"});
    v.field("values", values, "Percent, in the order of tasks.").required().between(0, 100);
    v.field("average", average, "Percent, as published.").between(0, 100);
  }
};
static_assert(field_count<PublishedSystem>() == 4, "describe() must list every field");

/// experiments/lamra/mbeir_published.yaml: read it with load_config<PublishedTable>().
struct PublishedTable {
  std::string benchmark, source;
  std::vector<std::string> tasks;
  std::vector<PublishedSystem> systems;

  template <class V>
  void describe(V& v) {
    v.field("benchmark", benchmark, "Name of the benchmark.").required();
    v.field("source", source, "Where the numbers were published.").required();
    v.field("tasks", tasks, "Ids of the benchmark's tasks.").required();
    v.field("systems", systems, "Their numbers.").required();
  }
  void check(Problems& problems) const;
};
static_assert(field_count<PublishedTable>() == 4, "describe() must list every field");

/// The floors of the benchmark's tasks and rows, in their own pools; the mean over the rows where every row has one.
Reference reference_of(const FloorTable& floors, const Benchmark& benchmark);
/// One a system, best average first. Means are the published ones, and left out where tasks of the table are left out.
std::vector<Reference> references_of(const PublishedTable& published, const Benchmark& benchmark);

}  // namespace trireme
