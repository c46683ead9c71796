#include "retrieval/report/metrics_log.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/io/json_text.h"
#include "core/io/quote.h"
#include "core/io/text.h"
#include "core/json.h"

namespace trireme {
namespace {

using Json = nlohmann::ordered_json;

/// Series by key, in order of appearance.
class SeriesTable {
 public:
  void add(const std::string& key, int64_t step, double value) {
    const auto [at, is_new] = index_.try_emplace(key, series_.size());
    if (is_new) series_.push_back({key, {}, {}});
    series_[at->second].steps.push_back(step);
    series_[at->second].values.push_back(value);
  }
  std::vector<MetricSeries> take() { return std::move(series_); }

 private:
  std::map<std::string, std::size_t> index_;
  std::vector<MetricSeries> series_;
};

}  // namespace

std::vector<MetricSeries> read_metrics_log(const std::filesystem::path& file) {
  const std::string text = read_utf8_file(file);
  SeriesTable table;
  std::optional<int64_t> last_step;
  int64_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    const std::string where = fmt::format("{}:{}", file.string(), ++line_number);
    begin = end + 1;

    Json object = try_parse_ordered_json(line);
    if (object.is_discarded()) {
      if (const auto apart = with_odd_values_apart(line)) object = try_parse_ordered_json(*apart);
    }
    if (object.is_discarded() && end == text.size()) break;  // a run that is still writing
    TRIREME_CHECK(object.is_object(), DataError, where,
                  "a line must be one JSON object; got {}; remove the line or write the file again.",
                  quote_text(line, 40));
    const auto step = object.find("step");
    TRIREME_CHECK(step != object.end() && step->is_number_integer(), DataError, where,
                  "a line must have an integer \"step\"; got {}; write {{\"step\": 1, ..}}.", quote_text(line, 40));
    const auto value = step->get<int64_t>();
    TRIREME_CHECK(!last_step || value >= *last_step, DataError, where,
                  "steps must not go back; got {} after {}; remove what an earlier run left.", value, *last_step);
    last_step = value;
    for (const auto& [key, entry] : object.items()) {
      if (key == "step" || !entry.is_number()) continue;
      if (const double number = entry.get<double>(); std::isfinite(number)) table.add(key, value, number);
    }
  }
  return table.take();
}

std::string_view group_of(std::string_view key) {
  const std::size_t slash = key.find('/');
  return slash == std::string_view::npos ? std::string_view() : key.substr(0, slash);
}

}  // namespace trireme
