#include "retrieval/report/text_table.h"

#include <algorithm>

namespace trireme {
namespace {

constexpr std::size_t kLabelColumns = 54;

/// Columns on a terminal, one a code point: wide characters do not occur in the labels of benchmarks.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(std::string text, std::size_t columns, bool to_the_right) {
  const std::size_t width = columns_of(text);
  if (width >= columns) return text;
  const std::string blanks(columns - width, ' ');
  return to_the_right ? blanks + text : text + blanks;
}

using Cells = std::vector<std::string>;

/// Numbers to the right, the label to the left, columns as wide as they must be.
std::string laid_out(const std::vector<Cells>& lines) {
  std::vector<std::size_t> widths(lines.front().size(), 0);
  for (const Cells& cells : lines) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], columns_of(cells[i]));
  }
  std::string text;
  for (const Cells& cells : lines) {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) line += "  ";
      line += padded(cells[i], widths[i], i > 0);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

class PoolTable {
 public:
  PoolTable(const EvalResults& results, std::optional<PoolResult> ResultRow::*pool) : results_(results), pool_(pool) {
    const auto any = std::find_if(results.table.tasks.begin(), results.table.tasks.end(),
                                  [&](const ResultRow& task) { return (task.*pool_).has_value(); });
    if (any == results.table.tasks.end()) return;
    for (const auto& [name, estimate] : (*any.*pool_)->metrics) metrics_.push_back(name);
    if (!results.references.empty()) reference_ = &results.references.front().table;
  }

  bool empty() const { return metrics_.empty(); }

  std::string text() const {
    std::vector<Cells> lines = {head()};
    add_rows(lines, [](const ResultRow& row) { return row.set == "main"; });
    if (const auto& mean = results_.table.mean)
      lines.push_back(line(*mean, "mean over rows", reference_ && reference_->mean ? &*reference_->mean : nullptr));
    add_rows(lines, [](const ResultRow& row) { return row.set != "main"; });
    std::erase_if(lines, [](const Cells& cells) { return cells.empty(); });
    return laid_out(lines) + headline_text();
  }

 private:
  /// Where the rows go by different metrics (M-BEIR), the mean of these: the number that is published.
  std::string headline_text() const {
    const auto& mean = results_.table.mean;
    if (!mean || mean->headline != "headline" || !(mean.value().*pool_)) return "";
    const Estimate* ours = (mean.value().*pool_)->find("headline");
    if (!ours) return "";
    std::string text = fmt::format("mean of each row's own metric: {:.1f}", 100 * ours->value);
    if (ours->low) text += fmt::format(" [{:.1f}, {:.1f}]", 100 * *ours->low, 100 * *ours->high);
    for (const Reference& reference : results_.references) {
      const auto& theirs = reference.table.mean;
      if (!theirs || !(theirs.value().*pool_)) continue;
      if (const Estimate* value = (theirs.value().*pool_)->find("headline"))
        text += fmt::format(", {} {:.1f}", reference.name, 100 * value->value);
    }
    return text + "\n";
  }

  template <class Wanted>
  void add_rows(std::vector<Cells>& lines, Wanted wanted) const {
    for (const ResultRow& row : results_.table.rows) {
      if (!wanted(row)) continue;
      const auto of_row = [&](const ResultRow& task) { return task.row == row.id; };
      const auto tasks = std::count_if(results_.table.tasks.begin(), results_.table.tasks.end(), of_row);
      lines.push_back(line(row, row.label, reference_ ? find_row(reference_->rows, row.id) : nullptr));
      if (tasks < 2) continue;
      for (const ResultRow& task : results_.table.tasks) {
        if (of_row(task))
          lines.push_back(line(task, "  " + task.label, reference_ ? find_row(reference_->tasks, task.id) : nullptr));
      }
    }
  }

  bool reference_has(std::string_view metric) const {
    return reference_ && std::any_of(reference_->tasks.begin(), reference_->tasks.end(), [&](const ResultRow& task) {
             return task.*pool_ && (task.*pool_)->find(metric) != nullptr;
           });
  }

  Cells head() const {
    Cells cells = {"", "queries", "pool"};
    for (const std::string& metric : metrics_) {
      cells.push_back(metric_title(metric));
      cells.emplace_back(has_intervals() ? "[95 %]" : "");
      if (reference_has(metric)) cells.push_back(results_.references.front().name);
    }
    return cells;
  }

  bool has_intervals() const {
    const auto& tasks = results_.table.tasks;
    return std::any_of(tasks.begin(), tasks.end(), [&](const ResultRow& task) {
      return task.*pool_ && !(task.*pool_)->metrics.empty() && (task.*pool_)->metrics.front().second.low;
    });
  }

  Cells line(const ResultRow& row, const std::string& label, const ResultRow* reference) const {
    const auto& pool = row.*pool_;
    if (!pool) return {};
    Cells cells = {columns_of(label) > kLabelColumns ? label.substr(0, kLabelColumns - 2) + ".." : label,
                   std::to_string(row.queries), pool->candidates > 0 ? std::to_string(pool->candidates) : ""};
    for (const std::string& metric : metrics_) {
      const Estimate* ours = pool->find(metric);
      cells.push_back(ours ? fmt::format("{:.1f}", 100 * ours->value) : "-");
      cells.push_back(ours && ours->low ? fmt::format("[{:.0f}, {:.0f}]", 100 * *ours->low, 100 * *ours->high) : "");
      if (!reference_has(metric)) continue;
      const Estimate* theirs = reference && reference->*pool_ ? (reference->*pool_)->find(metric) : nullptr;
      cells.push_back(theirs ? fmt::format("{:.1f}", 100 * theirs->value) : "-");
    }
    return cells;
  }

  const EvalResults& results_;
  std::optional<PoolResult> ResultRow::*pool_;
  std::vector<std::string> metrics_;
  const ResultTable* reference_ = nullptr;
};

/// Columns side by side under each metric.
class Comparison {
 public:
  Comparison(std::span<const EvalResults> columns, std::optional<PoolResult> ResultRow::*pool)
      : columns_(columns), pool_(pool) {
    constexpr std::size_t kShownMetrics = 2;
    for (const ResultRow& task : columns.front().table.tasks) {
      if (!(task.*pool)) continue;
      for (const auto& [name, estimate] : (task.*pool)->metrics)
        if (metrics_.size() < kShownMetrics) metrics_.push_back(name);
      break;
    }
  }

  bool empty() const { return metrics_.empty(); }

  std::string text() const {
    Cells metrics = {"", ""}, labels = {"", "queries"};
    for (const std::string& metric : metrics_) {
      for (const EvalResults& column : columns_) {
        metrics.push_back(&column == &columns_.front() ? metric_title(metric) : "");
        labels.push_back(short_label(column));
      }
    }
    std::vector<Cells> lines = {metrics, labels};
    const ResultTable& first = columns_.front().table;
    for (const ResultRow& row : first.rows) {
      if (!(row.*pool_)) continue;
      lines.push_back(line(row, row.label, &ResultTable::rows));
      for (const ResultRow& task : first.tasks) {
        if (task.row == row.id && task.label != row.label && task.*pool_)
          lines.push_back(line(task, "  " + task.label, &ResultTable::tasks));
      }
    }
    if (first.mean && (*first.mean).*pool_) {
      lines.push_back(cells_of("mean over rows", first.mean->queries, [](const EvalResults& column) {
        return column.table.mean ? &*column.table.mean : nullptr;
      }));
    }
    return laid_out(lines);
  }

 private:
  /// "+ listwise" of "Ret + listwise" beside "Ret".
  std::string short_label(const EvalResults& column) const {
    const std::string& first = columns_.front().label;
    return column.label.starts_with(first + " + ") ? column.label.substr(first.size() + 1) : column.label;
  }

  Cells line(const ResultRow& row, const std::string& label, std::vector<ResultRow> ResultTable::*rows) const {
    return cells_of(label, row.queries,
                    [&](const EvalResults& column) { return find_row(column.table.*rows, row.id); });
  }

  template <class RowOf>
  Cells cells_of(const std::string& label, int64_t queries, const RowOf& row_of) const {
    Cells cells = {label, std::to_string(queries)};
    for (const std::string& metric : metrics_) {
      for (const EvalResults& column : columns_) {
        const ResultRow* row = row_of(column);
        const Estimate* value = row && row->*pool_ ? (row->*pool_)->find(metric) : nullptr;
        cells.push_back(value ? fmt::format("{:.1f}", 100 * value->value) : "-");
      }
    }
    return cells;
  }

  std::span<const EvalResults> columns_;
  std::optional<PoolResult> ResultRow::*pool_;
  std::vector<std::string> metrics_;
};

}  // namespace

std::string comparison_text(std::span<const EvalResults> columns) {
  std::string text;
  const auto add = [&](std::string_view title, std::optional<PoolResult> ResultRow::*pool) {
    const Comparison table(columns, pool);
    if (!table.empty())
      text += fmt::format("{}{}, {}\n{}", text.empty() ? "" : "\n", columns.front().benchmark, title, table.text());
  };
  add("each task in its own pool", &ResultRow::local);
  add("the pool of all tasks", &ResultRow::global);
  return text;
}

std::string results_text(const EvalResults& results) {
  std::string text;
  const auto add = [&](std::string_view title, std::optional<PoolResult> ResultRow::*pool) {
    const PoolTable table(results, pool);
    if (!table.empty())
      text += fmt::format("{}{}, {}: {}\n{}", text.empty() ? "" : "\n", results.benchmark, title, results.label,
                          table.text());
  };
  add("each task in its own pool", &ResultRow::local);
  add("the pool of all tasks", &ResultRow::global);
  return text;
}

}  // namespace trireme
