#include "retrieval/report/chart.h"
#include "retrieval/report/sections.h"

namespace trireme::report_detail {
namespace {

enum class PoolKind { kLocal, kGlobal };

const Estimate* find_estimate(const ResultRow* row, PoolKind pool, std::string_view metric) {
  if (row == nullptr) return nullptr;
  const auto& result = pool == PoolKind::kLocal ? row->local : row->global;
  return result ? result->find(metric) : nullptr;
}

/// One line of the table as all results have it.
struct Line {
  enum class Kind { kMean, kRow, kTask };
  Kind kind = Kind::kRow;
  const ResultRow* shown = nullptr;  ///< the first result's that has it: label, queries
  std::vector<const ResultRow*> of_result{};
  const ResultRow* of_reference = nullptr;
};

class Columns {
 public:
  Columns(std::span<const EvalResults> results, PoolKind pool) : results_(results), pool_(pool) {
    for (const EvalResults& result : results) {
      if (!result.references.empty() && !reference_) reference_ = &result.references.front();
    }
  }

  const Reference* reference() const { return reference_; }
  PoolKind pool() const { return pool_; }
  std::span<const EvalResults> results() const { return results_; }

  /// The metrics that any line has, in order.
  std::vector<std::string> metrics(bool recall) const {
    std::vector<std::string> names;
    for (const EvalResults& result : results_) {
      for (const ResultRow& task : result.table.tasks) {
        const auto& pool = pool_ == PoolKind::kLocal ? task.local : task.global;
        if (!pool) continue;
        for (const auto& [name, estimate] : pool->metrics) {
          if (name.starts_with("recall@") == recall && std::find(names.begin(), names.end(), name) == names.end())
            names.push_back(name);
        }
      }
    }
    return names;
  }

  bool reference_has(std::string_view metric) const {
    if (reference_ == nullptr) return false;
    return std::any_of(reference_->table.tasks.begin(), reference_->table.tasks.end(),
                       [&](const ResultRow& task) { return find_estimate(&task, pool_, metric) != nullptr; });
  }

  /// Rows with more than one search are followed by their searches.
  std::vector<Line> lines() const {
    std::vector<Line> lines;
    for (const ResultRow& row : all(&ResultTable::rows)) {
      const Line line = line_of(Line::Kind::kRow, row.id, &ResultTable::rows);
      if (find_shown(line) == nullptr) continue;
      lines.push_back(line);
      std::vector<Line> tasks;
      for (const ResultRow& task : all(&ResultTable::tasks)) {
        if (task.row == row.id) tasks.push_back(line_of(Line::Kind::kTask, task.id, &ResultTable::tasks));
      }
      if (tasks.size() > 1) lines.insert(lines.end(), tasks.begin(), tasks.end());
    }
    return lines;
  }

  Line mean() const {
    Line line{Line::Kind::kMean};
    for (const EvalResults& result : results_) {
      line.of_result.push_back(result.table.mean ? &*result.table.mean : nullptr);
      if (line.shown == nullptr) line.shown = line.of_result.back();
    }
    if (reference_ != nullptr && reference_->table.mean) line.of_reference = &*reference_->table.mean;
    return line;
  }

  const ResultRow* find_shown(const Line& line) const {
    for (const ResultRow* row : line.of_result) {
      if (row != nullptr && (pool_ == PoolKind::kLocal ? row->local : row->global)) return row;
    }
    return nullptr;
  }

 private:
  using Rows = std::vector<ResultRow> ResultTable::*;

  /// Every row that a result has, once, in the order of the first result that has it.
  std::vector<ResultRow> all(Rows rows) const {
    std::vector<ResultRow> found;
    for (const EvalResults& result : results_) {
      for (const ResultRow& row : result.table.*rows) {
        if (find_row(found, row.id) == nullptr) found.push_back(row);
      }
    }
    return found;
  }

  Line line_of(Line::Kind kind, std::string_view id, Rows rows) const {
    Line line{kind};
    for (const EvalResults& result : results_) {
      line.of_result.push_back(find_row(result.table.*rows, id));
      if (line.shown == nullptr) line.shown = line.of_result.back();
    }
    if (reference_ != nullptr) line.of_reference = find_row(reference_->table.*rows, id);
    return line;
  }

  std::span<const EvalResults> results_;
  PoolKind pool_;
  const Reference* reference_ = nullptr;
};

void write_value(HtmlWriter& html, const Estimate* estimate, const Estimate* floor, std::size_t series, bool first) {
  std::string css = first ? "v first" : "v";
  if (estimate == nullptr) {
    html.leaf("td", {{"class", css + " none"}}, "–");
    return;
  }
  const bool above = floor != nullptr && estimate->value > floor->value;
  const auto cell =
      html.open("td", {{"class", fmt::format("{} {}{}", css, series_class(series), above ? " above" : "")}});
  html.leaf("b", {}, percent(estimate->value));
  if (estimate->low) html.leaf("small", {}, interval_text(*estimate));
}

void write_floor(HtmlWriter& html, const Estimate* floor) {
  if (floor == nullptr) {
    html.leaf("td", {{"class", "floor first none"}}, "–");
    return;
  }
  const auto cell = html.open("td", {{"class", "floor first"}});
  html.leaf("span", {}, percent(floor->value));
  if (floor->low) html.leaf("small", {}, interval_text(*floor));
}

void write_label(HtmlWriter& html, const Line& line, PoolKind pool) {
  const auto cell = html.open("th", {{"scope", "row"}});
  html.leaf("span", {{"class", "name"}},
            line.kind == Line::Kind::kMean ? "Mean over rows" : with_arrows(line.shown->label));
  const auto& result = pool == PoolKind::kLocal ? line.shown->local : line.shown->global;
  if (line.kind == Line::Kind::kMean || !result) return;
  html.leaf("small", {},
            result->candidates > 0 ? fmt::format("{} × {}", line.shown->queries, result->candidates)
                                   : fmt::format("{} queries", line.shown->queries));
}

void write_plot(HtmlWriter& html, const Line& line, PoolKind pool, std::string_view metric) {
  std::vector<PlotMark> marks;
  for (std::size_t i = 0; i < line.of_result.size(); ++i) {
    const Estimate* estimate = find_estimate(line.of_result[i], pool, metric);
    if (estimate == nullptr) continue;
    marks.push_back(
        {i, "", estimate->value, estimate->low.value_or(estimate->value), estimate->high.value_or(estimate->value)});
  }
  const Estimate* floor = find_estimate(line.of_reference, pool, metric);
  const auto cell = html.open("td", {{"class", "plot"}});
  draw_interval_plot(html, line.of_result.size() > 2 ? 150 : 240, marks,
                     floor != nullptr ? std::optional(floor->value) : std::nullopt);
}

void write_line(HtmlWriter& html, const Columns& columns, const Line& line, const std::vector<std::string>& metrics,
                std::string_view plotted) {
  const char* const kind = line.kind == Line::Kind::kMean ? "mean" : line.kind == Line::Kind::kRow ? "row" : "task";
  const auto row = html.open("tr", {{"class", kind}});
  write_label(html, line, columns.pool());
  if (!plotted.empty()) write_plot(html, line, columns.pool(), plotted);
  for (const std::string& metric : metrics) {
    const Estimate* floor = find_estimate(line.of_reference, columns.pool(), metric);
    if (columns.reference_has(metric)) write_floor(html, floor);
    for (std::size_t i = 0; i < line.of_result.size(); ++i) {
      write_value(html, find_estimate(line.of_result[i], columns.pool(), metric), floor, i,
                  i == 0 && !columns.reference_has(metric));
    }
  }
}

void write_head(HtmlWriter& html, const Columns& columns, const std::vector<std::string>& metrics,
                std::string_view plotted) {
  const auto head = html.open("thead");
  {
    const auto row = html.open("tr");
    html.leaf("th", {{"rowspan", "2"}, {"scope", "col"}}, "Task");
    if (!plotted.empty()) {
      const auto cell = html.open("th", {{"rowspan", "2"}, {"scope", "col"}, {"class", "plot"}});
      html.text(metric_title(plotted));
      html.leaf("span", {{"class", "ends"}}, "0 – 100");
    }
    for (const std::string& metric : metrics) {
      const std::size_t width = columns.results().size() + (columns.reference_has(metric) ? 1 : 0);
      html.leaf("th", {{"class", "metric"}, {"scope", "colgroup"}, {"colspan", std::to_string(width)}},
                metric_title(metric));
    }
  }
  const auto row = html.open("tr", {{"class", "who"}});
  for (const std::string& metric : metrics) {
    const bool with_floor = columns.reference_has(metric);
    if (with_floor) html.leaf("th", {{"class", "floor first"}, {"scope", "col"}}, columns.reference()->name);
    for (std::size_t i = 0; i < columns.results().size(); ++i) {
      html.leaf("th", {{"class", series_class(i) + (i == 0 && !with_floor ? " first" : "")}, {"scope", "col"}},
                columns.results()[i].label);
    }
  }
}

void write_table(HtmlWriter& html, const Columns& columns, const std::vector<std::string>& metrics,
                 std::string_view plotted) {
  const auto scroll = html.open("div", {{"class", "scroll"}, {"tabindex", "0"}});
  const auto table = html.open("table", {{"class", "recall"}});
  write_head(html, columns, metrics, plotted);
  const std::vector<Line> lines = columns.lines();
  const auto write_body = [&](std::string_view of_set, bool with_mean) {
    const auto section = html.open("tbody");
    if (of_set != "main") {
      const auto row = html.open("tr", {{"class", "set"}});
      html.leaf("th", {{"colspan", "99"}, {"scope", "rowgroup"}}, fmt::format("Generalisation test {}", of_set));
    }
    bool in_set = false;
    for (const Line& line : lines) {
      if (line.kind != Line::Kind::kTask) in_set = line.shown->set == of_set;
      if (in_set) write_line(html, columns, line, metrics, plotted);
    }
    const Line mean = columns.mean();
    if (with_mean && columns.find_shown(mean) != nullptr) write_line(html, columns, mean, metrics, plotted);
  };
  std::vector<std::string> sets = {"main"};
  for (const Line& line : lines) {
    if (std::find(sets.begin(), sets.end(), line.shown->set) == sets.end()) sets.push_back(line.shown->set);
  }
  for (const std::string& of_set : sets) write_body(of_set, of_set == "main");
}

/// The metric whose values are drawn: the headline of most searches.
std::string plotted_metric(std::span<const EvalResults> results) {
  for (const EvalResults& result : results) {
    if (!result.table.tasks.empty()) return result.table.tasks.front().headline;
  }
  return "";
}

void write_legend(HtmlWriter& html, const Columns& columns) {
  const auto legend = html.open("p", {{"class", "legend"}});
  for (std::size_t i = 0; i < columns.results().size(); ++i) {
    const auto entry = html.open("span", {{"class", "key " + series_class(i)}});
    html.leaf("i", {{"class", "dot"}}, "");
    html.text(columns.results()[i].label);
  }
  if (columns.reference() == nullptr) return;
  {
    const auto entry = html.open("span", {{"class", "key"}});
    html.leaf("i", {{"class", "tick"}}, "");
    html.text(columns.reference()->name);
  }
  html.leaf("span", {{"class", "key hint"}}, "▲ above the " + columns.reference()->name);
}

/// Systems beside ours, by the headline metric: when there is more than one reference.
void write_published(HtmlWriter& html, std::span<const EvalResults> results, PoolKind pool) {
  const EvalResults& ours = results.front();
  std::vector<const Reference*> systems;
  for (const Reference& reference : ours.references) {
    const bool has_any = std::any_of(ours.table.tasks.begin(), ours.table.tasks.end(), [&](const ResultRow& task) {
      return find_estimate(find_row(reference.table.tasks, task.id), pool, task.headline) != nullptr;
    });
    if (has_any) systems.push_back(&reference);
  }
  if (systems.size() < 2) return;
  html.leaf("h3", {}, "Beside published numbers");
  const auto scroll = html.open("div", {{"class", "scroll"}, {"tabindex", "0"}});
  const auto table = html.open("table", {{"class", "recall published"}});
  {
    const auto head = html.open("thead");
    const auto row = html.open("tr");
    html.leaf("th", {{"scope", "col"}}, "Task");
    for (std::size_t i = 0; i < results.size(); ++i)
      html.leaf("th", {{"scope", "col"}, {"class", series_class(i)}}, results[i].label);
    for (const Reference* system : systems) html.leaf("th", {{"scope", "col"}, {"class", "floor"}}, system->name);
  }
  const auto body = html.open("tbody");
  const auto write = [&](const char* css, const std::string& label, const std::string& metric, const auto& find) {
    const auto row = html.open("tr", {{"class", css}});
    {
      const auto cell = html.open("th", {{"scope", "row"}});
      html.leaf("span", {{"class", "name"}}, with_arrows(label));
      html.leaf("small", {}, metric == "headline" ? "" : metric_title(metric));
    }
    for (std::size_t i = 0; i < results.size(); ++i)
      write_value(html, find_estimate(find(results[i].table), pool, metric), nullptr, i, false);
    for (const Reference* system : systems) {
      const Estimate* value = find_estimate(find(system->table), pool, metric);
      html.leaf("td", {{"class", "floor"}}, value != nullptr ? percent(value->value) : "–");
    }
  };
  for (const ResultRow& task : ours.table.tasks) {
    write("row", task.label, task.headline, [&](const ResultTable& of) { return find_row(of.tasks, task.id); });
  }
  if (ours.table.mean) {
    write("mean", "Mean", ours.table.mean->headline,
          [](const ResultTable& of) { return of.mean ? &*of.mean : nullptr; });
  }
}

void write_pool(HtmlWriter& html, std::span<const EvalResults> results, PoolKind pool) {
  const Columns columns(results, pool);
  const std::vector<std::string> recalls = columns.metrics(true), others = columns.metrics(false);
  if (recalls.empty() && others.empty()) return;
  const bool local = pool == PoolKind::kLocal;
  const auto section = html.open("section", {{"id", local ? "local" : "global"}});
  html.leaf("h2", {}, local ? "Recall, each task in its own pool" : "Recall in the pool of all tasks");
  write_legend(html, columns);
  write_table(html, columns, recalls, plotted_metric(results));
  if (!others.empty()) {
    const auto details = html.open("details");
    std::string names;
    for (const std::string& name : others) names += (names.empty() ? "" : ", ") + metric_title(name);
    html.leaf("summary", {}, names);
    write_table(html, columns, others, "");
  }
  write_published(html, results, pool);
}

}  // namespace

void write_summary(HtmlWriter& html, std::span<const EvalResults> results) {
  const auto section = html.open("section", {{"class", "cards"}, {"id", "summary"}});
  for (std::size_t i = 0; i < results.size(); ++i) {
    const EvalResults& result = results[i];
    if (!result.table.mean) continue;
    const ResultRow& mean = *result.table.mean;
    const PoolKind pool = mean.local ? PoolKind::kLocal : PoolKind::kGlobal;
    const Estimate* estimate = find_estimate(&mean, pool, mean.headline);
    if (estimate == nullptr) continue;
    const auto card = html.open("div", {{"class", "card " + series_class(i)}});
    html.leaf("p", {{"class", "who"}}, result.label);
    {
      const auto number = html.open("p", {{"class", "number"}});
      html.text(percent(estimate->value));
      if (estimate->low) html.leaf("small", {}, interval_text(*estimate));
    }
    html.leaf("p", {{"class", "what"}},
              fmt::format("mean {} over {} rows", mean.headline == "headline" ? "recall" : metric_title(mean.headline),
                          std::count_if(result.table.rows.begin(), result.table.rows.end(),
                                        [](const ResultRow& row) { return row.in_mean; })));
    if (result.references.empty()) continue;
    const Reference& reference = result.references.front();
    int64_t above = 0, known = 0;
    for (const ResultRow& row : result.table.rows) {
      const Estimate* ours = find_estimate(&row, pool, row.headline);
      const Estimate* theirs = find_estimate(find_row(reference.table.rows, row.id), pool, row.headline);
      if (!row.in_mean || ours == nullptr || theirs == nullptr) continue;
      ++known;
      above += ours->value > theirs->value ? 1 : 0;
    }
    const Estimate* theirs =
        find_estimate(reference.table.mean ? &*reference.table.mean : nullptr, pool, mean.headline);
    if (known > 0) {
      html.leaf("p", {{"class", "what"}},
                fmt::format("above the {} in {} of {} rows{}", reference.name, above, known,
                            theirs != nullptr ? fmt::format("; its mean is {}", percent(theirs->value)) : ""));
    }
  }
}

void write_tables(HtmlWriter& html, std::span<const EvalResults> results) {
  write_pool(html, results, PoolKind::kLocal);
  write_pool(html, results, PoolKind::kGlobal);
}

}  // namespace trireme::report_detail
