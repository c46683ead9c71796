#pragma once

#include <filesystem>
#include <vector>

#include "retrieval/report/report.h"

namespace trireme {

/// What run directories and folders of evaluations hold for a report: of each the curves (metrics.jsonl, timing.jsonl)
/// and the evaluations (results.json, gallery.json), in the folder itself, in eval/, and in eval/'s folders by name.
/// The gallery is the last evaluation's that has one. Two evaluations of one label are told apart by their folder.
/// throws DataError: a folder that is not there or holds neither, files that are damaged.
Report collect_report(const std::vector<std::filesystem::path>& folders);

}  // namespace trireme
