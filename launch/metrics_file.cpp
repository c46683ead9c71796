#include "launch/metrics_file.h"

#include <nlohmann/json.hpp>

#include "core/config/field_list.h"
#include "core/io/file.h"
#include "core/json.h"

namespace trireme {

void MetricsFile::describe(FieldList& v) {
  v.field("metrics", metrics, "JSON file for counts and times of this run (rank 0's).").no_effect_on_values();
}
static_assert(field_count<MetricsFile>() == 1, "describe() must list every field");

void MetricsFile::write(const nlohmann::ordered_json& values, const Job& job) const {
  if (!metrics || job.communicator.rank() != 0) return;
  write_text_file(*metrics, dump_json(values, 2) + "\n");
}

}  // namespace trireme
