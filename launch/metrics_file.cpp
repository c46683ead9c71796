#include "launch/metrics_file.h"

#include <nlohmann/json.hpp>

#include "core/io/file.h"

namespace trireme {

void MetricsFile::write(const nlohmann::ordered_json& values, const Job& job) const {
  if (!metrics || job.communicator.rank() != 0) return;
  AtomicFile file(*metrics);
  file.write(values.dump(2) + "\n");
  file.commit();
}

}  // namespace trireme
