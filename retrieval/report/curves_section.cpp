#include "retrieval/report/chart.h"
#include "retrieval/report/sections.h"

namespace trireme::report_detail {
namespace {

/// The runs' series of one key.
struct ChartOfKey {
  std::string key;
  std::vector<ChartCurve> curves;
};
struct ChartGroup {
  std::string name;
  std::vector<ChartOfKey> charts;
};

template <class Items, class Name>
auto& find_or_add(Items& items, Name member, std::string_view name) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.*member == name; });
  if (found != items.end()) return *found;
  items.emplace_back();
  items.back().*member = std::string(name);
  return items.back();
}

/// Groups and keys in the order in which the runs have them.
std::vector<ChartGroup> groups_of(std::span<const RunCurves> runs) {
  std::vector<ChartGroup> groups;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    for (const MetricSeries& series : runs[i].series) {
      if (series.values.empty()) continue;
      ChartGroup& group = find_or_add(groups, &ChartGroup::name, group_of(series.key));
      find_or_add(group.charts, &ChartOfKey::key, series.key).curves.push_back({i, runs[i].name, &series});
    }
  }
  return groups;
}

void write_group(HtmlWriter& html, const ChartGroup& group) {
  const auto grid = html.open("div", {{"class", "charts"}});
  for (const ChartOfKey& chart : group.charts) draw_chart(html, chart.key, chart.curves);
}

}  // namespace

void write_curves(HtmlWriter& html, std::span<const RunCurves> runs) {
  const std::vector<ChartGroup> groups = groups_of(runs);
  if (groups.empty()) return;
  const auto section = html.open("section", {{"id", "curves"}});
  html.leaf("h2", {}, "Curves");
  {
    const auto legend = html.open("p", {{"class", "legend"}});
    for (std::size_t i = 0; i < runs.size(); ++i) {
      const auto entry = html.open("span", {{"class", "key " + series_class(i)}});
      html.leaf("i", {{"class", "dot"}}, "");
      html.text(runs[i].name);
    }
    html.leaf("span", {{"class", "key hint"}}, "long runs: mean of consecutive steps, with their extremes as a band");
  }
  // Losses and validation are what a reader came for; times, memory and the like come after them, folded.
  const auto is_first = [](const ChartGroup& group) {
    return group.name.empty() || group.name == "train" || group.name == "val";
  };
  for (const ChartGroup& group : groups) {
    if (is_first(group)) write_group(html, group);
  }
  for (const ChartGroup& group : groups) {
    if (is_first(group)) continue;
    const auto details = html.open("details");
    html.leaf("summary", {}, group.name);
    write_group(html, group);
  }
}

}  // namespace trireme::report_detail
