#include "retrieval/report/report.h"

#include "core/error.h"
#include "core/version.h"
#include "retrieval/report/sections.h"

namespace trireme {
namespace report_detail {

std::string with_arrows(std::string_view label) {
  std::string out(label);
  for (std::size_t at = out.find("->"); at != std::string::npos; at = out.find("->", at)) out.replace(at, 2, "→");
  return out;
}

std::string percent(double fraction) { return fmt::format("{:.1f}", 100 * fraction); }

std::string interval_text(const Estimate& estimate) {
  if (!estimate.low || !estimate.high) return "";
  return fmt::format("{:.1f} – {:.1f}", 100 * *estimate.low, 100 * *estimate.high);
}

void write_notes(HtmlWriter& html, const Report& report) {
  const auto footer = html.open("footer", {{"id", "notes"}});
  html.leaf("h2", {}, "Notes");
  if (!report.results.empty()) {
    html.leaf("p", {},
              "Recall@k is the share of queries with a relevant candidate among the first k. Small figures are 95 % "
              "bootstrap intervals over the queries; of a mean, over the queries of each search drawn apart. Small "
              "figures under a name: queries × candidates.");
    const auto table = html.open("dl");
    for (const EvalResults& result : report.results) {
      html.leaf("dt", {}, result.label);
      const auto facts = html.open("dd");
      html.leaf("span", {},
                fmt::format("{}, {}, {} results kept per query", result.benchmark, result.instruction, result.depth));
      html.leaf("span", {}, fmt::format("model {}, weights {}", result.model, result.model_sha256.substr(0, 12)));
      if (!result.adapter_sha256.empty())
        html.leaf("span", {}, fmt::format("adapter {}", result.adapter_sha256.substr(0, 12)));
      html.leaf("span", {}, fmt::format("config {}", result.config_sha256.substr(0, 12)));
      const std::string other_data = data_difference(report.results.front(), result);
      if (!other_data.empty()) html.leaf("span", {}, other_data);
    }
    std::vector<std::string> named;
    for (const EvalResults& result : report.results) {
      for (const Reference& reference : result.references) {
        if (reference.about.empty() || std::find(named.begin(), named.end(), reference.name) != named.end()) continue;
        named.push_back(reference.name);
        html.leaf("dt", {}, reference.name);
        html.leaf("dd", {}, reference.about);
      }
    }
  }
  if (report.gallery && !report.gallery->gallery.notice.empty()) {
    const auto details = html.open("details");
    html.leaf("summary", {}, "Whose pictures these are");
    html.leaf("pre", {}, report.gallery->gallery.notice);
  }
  html.leaf("p", {{"class", "made"}}, fmt::format("trireme {}", version()));
}

namespace {

void write_navigation(HtmlWriter& html, const Report& report) {
  const auto nav = html.open("nav", {{"aria-label", "Sections"}});
  const auto has_pool = [&](std::optional<PoolResult> ResultRow::*pool) {
    return std::any_of(report.results.begin(), report.results.end(), [&](const EvalResults& result) {
      return std::any_of(result.table.tasks.begin(), result.table.tasks.end(),
                         [&](const ResultRow& task) { return (task.*pool).has_value(); });
    });
  };
  if (has_pool(&ResultRow::local)) html.leaf("a", {{"href", "#local"}}, "Recall");
  if (has_pool(&ResultRow::global)) html.leaf("a", {{"href", "#global"}}, "Pool of all tasks");
  if (!report.curves.empty()) html.leaf("a", {{"href", "#curves"}}, "Curves");
  if (report.gallery) html.leaf("a", {{"href", "#gallery"}}, "What was found");
  html.leaf("a", {{"href", "#notes"}}, "Notes");
}

std::string title_of(const Report& report) {
  if (!report.results.empty()) return report.results.front().benchmark;
  return report.curves.size() == 1 ? report.curves.front().name : "Runs";
}

std::string subtitle_of(const Report& report) {
  std::string names;
  const auto add = [&](const std::string& name) { names += (names.empty() ? "" : " · ") + name; };
  if (report.results.empty()) {
    for (const RunCurves& run : report.curves) add(run.name);
  }
  for (const EvalResults& result : report.results) add(result.label);
  return names;
}

void write_head(HtmlWriter& html, const Report& report) {
  const auto head = html.open("head");
  html.empty("meta", {{"charset", "utf-8"}});
  html.empty("meta", {{"http-equiv", "Content-Security-Policy"},
                      {"content", "default-src 'none'; img-src data:; style-src 'unsafe-inline'"}});
  html.empty("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  html.empty("meta", {{"name", "color-scheme"}, {"content", "light dark"}});
  html.leaf("title", {}, title_of(report) + " · Trireme");
  html.style(style_sheet());
  if (report.gallery) html.style(picture_rules(report.gallery->gallery));
}

void write_body(HtmlWriter& html, const Report& report) {
  const auto body = html.open("body");
  {
    const auto header = html.open("header");
    html.leaf("p", {{"class", "brand"}}, "Trireme");
    html.leaf("h1", {}, title_of(report));
    html.leaf("p", {{"class", "sub"}}, subtitle_of(report));
    write_navigation(html, report);
  }
  const auto main = html.open("main");
  if (!report.results.empty()) {
    write_summary(html, report.results);
    write_tables(html, report.results);
  }
  write_curves(html, report.curves);
  if (report.gallery) write_gallery(html, *report.gallery, report.results);
  write_notes(html, report);
}

}  // namespace
}  // namespace report_detail

std::string report_html(const Report& report) {
  TRIREME_ASSERT(!report.results.empty() || !report.curves.empty(), "a report of nothing");
  HtmlWriter html;
  {
    const auto root = html.open("html", {{"lang", "en"}});
    report_detail::write_head(html, report);
    report_detail::write_body(html, report);
  }
  return "<!DOCTYPE html>\n" + html.html() + "\n";
}

}  // namespace trireme
