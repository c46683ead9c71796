// For tests/peer/metrics_parity.py: one case (tests/support/metrics_case.h) a line from stdin; on stdout one line
// {"recall@5": [value of each query], ..} with the ties of trec_eval.
#include <iostream>

#include "core/json.h"
#include "tests/support/metrics_case.h"

using namespace trireme;

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto drawn = test::metrics_case(parse_json(line));
    const TaskMetrics metrics =
        evaluate_run("drawn", drawn.run, drawn.judgements,
                     {.metrics = drawn.metrics, .ties = TieRule::kTrecEval, .bootstrap_samples = 0});
    nlohmann::json values;
    for (const MetricValue& value : metrics.values) values[metric_name(value.metric)] = value.per_query;
    std::cout << dump_json(values) << "\n";
  }
}
