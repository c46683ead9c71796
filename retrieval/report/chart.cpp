#include "retrieval/report/chart.h"

#include <cmath>
#include <limits>

#include "core/error.h"

namespace trireme {
namespace {

// Of a chart, in the units of its viewBox.
constexpr double kWidth = 360, kHeight = 200;
constexpr double kLeft = 46, kRight = 50, kTop = 10, kBottom = 24;
constexpr int64_t kMostMarkedPoints = 40;

// Of an interval plot.
constexpr double kPlotPad = 5, kPlotLine = 9;

std::string at(double coordinate) { return fmt::format("{:.1f}", coordinate); }

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void include(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

/// Consecutive points of a curve, drawn as one.
struct Bucket {
  double step = 0, mean = 0;
  Range values;
};

std::vector<Bucket> buckets_of(const MetricSeries& series) {
  const auto size = std::ssize(series.steps);
  const int64_t each = (size + kChartBuckets - 1) / kChartBuckets;
  std::vector<Bucket> buckets;
  for (int64_t begin = 0; begin < size; begin += each) {
    const int64_t end = std::min(begin + each, size);
    Bucket bucket;
    for (int64_t i = begin; i < end; ++i) {
      const auto index = static_cast<std::size_t>(i);
      bucket.step += static_cast<double>(series.steps[index]);
      bucket.mean += series.values[index];
      bucket.values.include(series.values[index]);
    }
    bucket.step /= static_cast<double>(end - begin);
    bucket.mean /= static_cast<double>(end - begin);
    buckets.push_back(bucket);
  }
  return buckets;
}

/// From data to the viewBox.
struct Axes {
  std::vector<double> x_ticks, y_ticks;
  double x(double step) const { return kLeft + (kWidth - kLeft - kRight) * share(step, x_ticks); }
  double y(double value) const { return kHeight - kBottom - (kHeight - kTop - kBottom) * share(value, y_ticks); }

 private:
  static double share(double value, const std::vector<double>& ticks) {
    return (value - ticks.front()) / (ticks.back() - ticks.front());
  }
};

void draw_axes(HtmlWriter& html, const Axes& axes) {
  const auto group = html.open("g", {{"class", "axis"}});
  for (const double tick : axes.y_ticks) {
    const std::string y = at(axes.y(tick));
    html.empty("line", {{"x1", at(kLeft)}, {"x2", at(kWidth - kRight)}, {"y1", y}, {"y2", y}});
    html.leaf("text", {{"x", at(kLeft - 7)}, {"y", y}, {"dy", "0.32em"}, {"text-anchor", "end"}}, short_number(tick));
  }
  for (const double tick : axes.x_ticks) {
    html.leaf("text", {{"x", at(axes.x(tick))}, {"y", at(kHeight - 6)}, {"text-anchor", "middle"}}, short_number(tick));
  }
}

void draw_curve(HtmlWriter& html, const ChartCurve& curve, const std::vector<Bucket>& buckets, const Axes& axes) {
  const auto group = html.open("g", {{"class", series_class(curve.series)}});
  std::string line, upper, lower;
  for (const Bucket& bucket : buckets) {
    const std::string x = at(axes.x(bucket.step));
    line += fmt::format("{}{},{}", line.empty() ? "" : " ", x, at(axes.y(bucket.mean)));
    upper += fmt::format("{},{} ", x, at(axes.y(bucket.values.high)));
    lower.insert(0, fmt::format("{},{} ", x, at(axes.y(bucket.values.low))));
  }
  if (buckets.size() < curve.points->steps.size()) {
    html.empty("polygon", {{"class", "band"}, {"points", upper + lower.substr(0, lower.size() - 1)}});
  }
  html.empty("polyline", {{"class", "line"}, {"points", line}});
  if (std::ssize(buckets) > kMostMarkedPoints || buckets.size() < curve.points->steps.size()) return;
  for (const Bucket& bucket : buckets) {
    const auto dot = html.open(
        "circle", {{"class", "dot"}, {"cx", at(axes.x(bucket.step))}, {"cy", at(axes.y(bucket.mean))}, {"r", "2.6"}});
    html.leaf("title", {}, fmt::format("{}: {} at step {}", curve.name, short_number(bucket.mean), bucket.step));
  }
}

/// Where the labels of the last values go: at their values, moved apart where they would overlap.
std::vector<double> label_places(std::vector<std::pair<double, std::size_t>> wanted) {
  constexpr double kLineHeight = 13;
  std::sort(wanted.begin(), wanted.end());
  std::vector<double> places(wanted.size());
  double least = kTop;
  for (const auto& [y, index] : wanted) {
    places[index] = std::max(y, least);
    least = places[index] + kLineHeight;
  }
  return places;
}

}  // namespace

std::string series_class(std::size_t index) { return fmt::format("s{}", index % kSeriesColours); }

std::vector<double> axis_ticks(double low, double high, int64_t count) {
  TRIREME_ASSERT(low <= high && count >= 1, "{}..{} in {}", low, high, count);
  if (low == high) {
    const double spread = std::max(std::abs(low) * 0.1, 1e-12);
    low -= spread;
    high += spread;
  }
  const double rough = (high - low) / static_cast<double>(count);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size < 1e-12) return "0";
  if (size < 1e-3 || size >= 1e7) {
    const std::string text = fmt::format("{:.1e}", value);  // 3.0e-04
    const std::size_t e = text.find('e');
    std::string digits = text.substr(0, e);
    if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
    return fmt::format("{}e{}", digits, std::stoi(text.substr(e + 1)));
  }
  if (size >= 1000) {
    const auto whole = static_cast<int64_t>(std::llround(size));
    const std::string high = whole >= 1'000'000 ? fmt::format("{},{:03}", whole / 1'000'000, whole / 1000 % 1000)
                                                : fmt::format("{}", whole / 1000);
    return fmt::format("{}{},{:03}", value < 0 ? "-" : "", high, whole % 1000);
  }
  return fmt::format("{:.3g}", value);
}

void draw_chart(HtmlWriter& html, std::string_view title, std::span<const ChartCurve> curves) {
  TRIREME_ASSERT(!curves.empty(), "chart of {}", title);
  std::vector<std::vector<Bucket>> drawn;
  Range steps, values;
  for (const ChartCurve& curve : curves) {
    drawn.push_back(buckets_of(*curve.points));
    TRIREME_ASSERT(!drawn.back().empty(), "{} of {} has no points", curve.name, title);
    for (const Bucket& bucket : drawn.back()) {
      steps.include(bucket.step);
      values.include(bucket.values.low);
      values.include(bucket.values.high);
    }
  }
  const Axes axes{axis_ticks(steps.low, steps.high, 4), axis_ticks(values.low, values.high, 4)};

  const auto figure = html.open("figure", {{"class", "chart"}});
  html.leaf("figcaption", {}, title);
  const auto svg = html.open("svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)},
                                     {"role", "img"},
                                     {"aria-label", fmt::format("{} over steps", title)}});
  draw_axes(html, axes);
  std::vector<std::pair<double, std::size_t>> wanted;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    draw_curve(html, curves[i], drawn[i], axes);
    wanted.emplace_back(axes.y(drawn[i].back().mean), i);
  }
  const std::vector<double> places = label_places(std::move(wanted));
  for (std::size_t i = 0; i < curves.size(); ++i) {
    html.leaf("text",
              {{"class", "last " + series_class(curves[i].series)},
               {"x", at(axes.x(drawn[i].back().step) + 6)},
               {"y", at(places[i])},
               {"dy", "0.32em"}},
              short_number(drawn[i].back().mean));
  }
}

void draw_interval_plot(HtmlWriter& html, double width, std::span<const PlotMark> marks,
                        const std::optional<double>& reference) {
  const double height = kPlotLine * static_cast<double>(std::max<std::size_t>(marks.size(), 1)) + 9;
  const auto x = [&](double value) { return at(kPlotPad + (width - 2 * kPlotPad) * std::clamp(value, 0.0, 1.0)); };
  const auto svg = html.open("svg", {{"class", "intervals"},
                                     {"viewBox", fmt::format("0 0 {} {}", width, height)},
                                     {"width", fmt::format("{}", width)},
                                     {"height", fmt::format("{}", height)},
                                     {"aria-hidden", "true"}});
  for (const double tick : {0.0, 0.25, 0.5, 0.75, 1.0}) {
    html.empty("line", {{"class", "grid"}, {"x1", x(tick)}, {"x2", x(tick)}, {"y1", "0"}, {"y2", at(height)}});
  }
  if (reference) {
    html.empty(
        "line",
        {{"class", "floor"}, {"x1", x(*reference)}, {"x2", x(*reference)}, {"y1", "1.5"}, {"y2", at(height - 1.5)}});
  }
  double y = 9;
  for (const PlotMark& mark : marks) {
    const auto group = html.open("g", {{"class", series_class(mark.series)}});
    html.empty("line", {{"class", "span"}, {"x1", x(mark.low)}, {"x2", x(mark.high)}, {"y1", at(y)}, {"y2", at(y)}});
    html.empty("circle", {{"class", "dot"}, {"cx", x(mark.value)}, {"cy", at(y)}, {"r", "3.4"}});
    y += kPlotLine;
  }
}

}  // namespace trireme
