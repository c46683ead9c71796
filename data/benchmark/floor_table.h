#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

class FieldList;

/// What a simple specialist without any learned representation reaches on one evaluation: a floor to beat.
struct Floor {
  std::string id;  ///< as EvalTask::floor, or a TableRow's id for the mean over its tasks
  std::string label;
  int64_t task_id = 0;
  int64_t queries = 0, candidates = 0;                             ///< 0 = a mean over several
  double recall_at_1 = 0, recall_at_5 = 0, recall_at_10 = 0;       ///< percent
  std::vector<double> recall_at_1_interval, recall_at_5_interval;  ///< 95 % over queries, [low, high] or empty
  std::string note;

  void describe(FieldList& v);
};

/// experiments/pictograms/floors.yaml: read it with load_config<FloorTable>().
struct FloorTable {
  std::string dataset;
  std::string method;
  std::vector<Floor> floors;

  void describe(FieldList& v);
};

}  // namespace trireme
