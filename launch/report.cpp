#include "core/error.h"
#include "core/io/file.h"
#include "launch/options.h"
#include "launch/standard_streams.h"
#include "launch/verbs.h"
#include "retrieval/report/collect.h"

namespace trireme {
namespace {

struct ReportVerb {
  std::vector<std::filesystem::path> runs;
  std::optional<std::filesystem::path> out;

  void describe(FieldList& v) {
    v.field("runs", runs, "Run directories and folders of evaluations, in the order of the columns.")
        .required()
        .positional()
        .placeholder("RUN");
    v.field("out", out, "HTML file to write; default: report.html in the run, when there is one.")
        .placeholder("FILE.html");
  }
};
static_assert(field_count<ReportVerb>() == 2, "describe() must list every field");

int report(const ReportVerb& verb) {
  TRIREME_CHECK(verb.out.has_value() || verb.runs.size() == 1, ConfigError, "report",
                "several runs need a file to write; got {} runs and no --out; give --out FILE.html.", verb.runs.size());
  const std::filesystem::path out = verb.out.value_or(verb.runs.front() / "report.html");
  const Report content = collect_report(verb.runs);
  for (const EvalResults& result : content.results) {
    const std::string other_data = data_difference(content.results.front(), result);
    if (!other_data.empty()) print(fmt::format("warning: {}\n", other_data));
  }
  const std::string html = report_html(content);
  write_text_file(out, html);
  print(fmt::format("wrote {} ({:.1f} KB)\n", out.string(), static_cast<double>(html.size()) / 1000));
  return 0;
}

}  // namespace

VerbAction add_report(Program& program) {
  auto verb = std::make_shared<ReportVerb>();
  program.add("report", "Curves, tables and galleries of runs, in one HTML file.", *verb);
  return [verb](const LaunchInfo& launch) { return launch.rank == 0 ? report(*verb) : 0; };
}

}  // namespace trireme
