#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/benchmark/floor_table.h"
#include "evaluation/benchmark.h"
#include "retrieval/report/results.h"

namespace trireme {

class FieldList;

/// One system's published numbers, in percent: of each task the metric that is its headline.
struct PublishedSystem {
  std::string name, pool = "local";
  std::vector<double> values;
  double average = 0;

  void describe(FieldList& v);
};

/// experiments/lamra/mbeir_published.yaml: read it with load_config<PublishedTable>().
struct PublishedTable {
  std::string benchmark, source;
  std::vector<std::string> tasks;
  std::vector<PublishedSystem> systems;

  void describe(FieldList& v);
  void check(Problems& problems) const;
};

/// The floors of the benchmark's tasks and rows, in their own pools; the mean over the rows where every row has one.
Reference reference_of(const FloorTable& floors, const Benchmark& benchmark);
/// One a system, best average first. Means are the published ones, and left out where tasks of the table are left out.
std::vector<Reference> references_of(const PublishedTable& published, const Benchmark& benchmark);

}  // namespace trireme
