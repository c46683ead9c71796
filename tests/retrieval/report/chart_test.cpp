#include "retrieval/report/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trireme {
namespace {

using ::testing::AllOf;
using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

MetricSeries series_of(int64_t points) {
  MetricSeries series{"train/loss", {}, {}};
  for (int64_t i = 0; i < points; ++i) {
    series.steps.push_back(i);
    series.values.push_back(i % 2 == 0 ? 1.0 : 3.0);
  }
  return series;
}

std::string chart_of(const MetricSeries& series, std::string name = "run") {
  HtmlWriter html;
  const std::vector<ChartCurve> curves = {{0, std::move(name), &series}};
  draw_chart(html, series.key, curves);
  return html.html();
}

TEST(Chart, TicksAreRoundAndCoverTheRange) {
  EXPECT_THAT(axis_ticks(0, 2750, 4), ElementsAre(0, 1000, 2000, 3000));
  EXPECT_THAT(axis_ticks(0.1, 0.37, 3),
              ElementsAre(DoubleEq(0.1), DoubleEq(0.2), DoubleEq(0.30000000000000004), DoubleEq(0.4)));
  const auto ticks = axis_ticks(5, 5, 4);
  EXPECT_LT(ticks.front(), 5);
  EXPECT_GT(ticks.back(), 5);
}

TEST(Chart, NumbersAreShort) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(0.25), "0.25");
  EXPECT_EQ(short_number(3e-4), "3e-4");
  EXPECT_EQ(short_number(2.54e-5), "2.5e-5");
  EXPECT_EQ(short_number(2500), "2,500");
  EXPECT_EQ(short_number(1'250'000), "1,250,000");
  EXPECT_EQ(short_number(-1005), "-1,005");
  EXPECT_EQ(short_number(3e8), "3e8");
}

TEST(Chart, FewPointsAreMarkedManyAreABandWithItsMean) {
  EXPECT_THAT(chart_of(series_of(5)), AllOf(HasSubstr("<circle"), Not(HasSubstr("polygon"))));
  const std::string many = chart_of(series_of(100'000));
  EXPECT_THAT(many, AllOf(HasSubstr("polygon"), Not(HasSubstr("<circle"))));
  EXPECT_LT(many.size(), 12'000u) << "a chart must not grow with the run";
}

TEST(Chart, NamesAreEscaped) {
  MetricSeries series = series_of(3);
  series.key = "a<b";
  EXPECT_THAT(chart_of(series, "<img>"), AllOf(HasSubstr("a&lt;b"), HasSubstr("&lt;img&gt;"), Not(HasSubstr("<img"))));
}

TEST(Chart, IntervalPlotsKeepToTheirAxis) {
  HtmlWriter html;
  const std::vector<PlotMark> marks = {{0, "a", 0.5, -0.2, 1.7}};
  draw_interval_plot(html, 150, marks, 0.25);
  EXPECT_THAT(html.html(), AllOf(HasSubstr("x1=\"5.0\""), HasSubstr("x2=\"145.0\""), HasSubstr("class=\"floor\"")));
}

}  // namespace
}  // namespace trireme
