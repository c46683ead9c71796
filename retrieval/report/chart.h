#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retrieval/report/html.h"
#include "retrieval/report/metrics_log.h"

namespace trireme {

/// Curves take their colours from the style sheet: series 0..kSeriesColours-1, then round again.
inline constexpr std::size_t kSeriesColours = 5;
/// "s0", "s1", ..: the class that colours series `index`.
std::string series_class(std::size_t index);

/// Round numbers that cover [low, high], at most `count` + 1 of them, ends included: 1, 2 or 5 times a power of ten
/// apart. low <= high; equal ends are spread.
std::vector<double> axis_ticks(double low, double high, int64_t count);
/// A tick or a last value, short: "0.25", "2,500", "3e-4".
std::string short_number(double value);

struct ChartCurve {
  std::size_t series = 0;  ///< which colour
  std::string name;
  const MetricSeries* points = nullptr;
};

/// An inline SVG of values over steps. Above kChartBuckets points, the mean of each bucket as a line and its extremes
/// as a band around it, so a page does not grow with the run; few points are marked, with their values as tooltips.
void draw_chart(HtmlWriter& html, std::string_view title, std::span<const ChartCurve> curves);
inline constexpr int64_t kChartBuckets = 120;

/// A value on 0..1 with its interval.
struct PlotMark {
  std::size_t series = 0;
  std::string name;
  double value = 0, low = 0, high = 0;
};

/// A row's estimates on one axis from 0 to 1, one under the other: interval as a line, value as a dot; the reference
/// as a tick through all of them. `width` in pixels.
void draw_interval_plot(HtmlWriter& html, double width, std::span<const PlotMark> marks,
                        const std::optional<double>& reference);

}  // namespace trireme
