#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retrieval/report/gallery.h"
#include "retrieval/report/metrics_log.h"
#include "retrieval/report/results.h"

namespace trireme {

/// What a run wrote down while it trained.
struct RunCurves {
  std::string name;
  std::vector<MetricSeries> series;
};

struct LabelledGallery {
  std::string label;  ///< EvalResults::label
  Gallery gallery;
};

/// What a report is made of; any part may be empty, not all.
struct Report {
  std::vector<EvalResults> results;  ///< columns of the table, in this order: base, stage 1, stage 2
  std::vector<RunCurves> curves;
  std::optional<LabelledGallery> gallery;
};

/// One HTML page that needs nothing else: no script, no font, no picture from elsewhere (its content security policy
/// says so), light and dark as the reader's system has it, from 360 pixels of width on. Every text from outside is
/// escaped. Equal reports give equal bytes. Size: 60 KB and the thumbnails, about 1.5 KB each.
std::string report_html(const Report& report);

}  // namespace trireme
