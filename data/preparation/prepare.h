#pragma once

#include <filesystem>
#include <string>

#include "core/config/field_list.h"
#include "data/benchmark/dataset_folder.h"
#include "data/preparation/catalogue.h"

namespace trireme {

class FieldList;

struct PictogramsOptions {
  std::filesystem::path out;
  std::filesystem::path package_root = "/";
  bool check_counts = true;

  void describe(FieldList& v);
};

struct PreparedPictograms {
  bool was_there = false;  ///< nothing was written: the folder is as the manifest says
  DatasetManifest manifest;
};

/// Pictograms in M-BEIR's layout (docs/pictograms.md), out of installed Debian packages. The same packages give the
/// same bytes. One process, on all its threads: about 10 s on two cores; 6,300 files of 135 MB.
/// throws DataError: packages missing (named, with the apt line), sources damaged, counts that are off, `out` holds
/// other files, or an earlier dataset that was changed since or was made from other package versions.
PreparedPictograms prepare_pictograms(const PictogramsOptions& options, const PictureProgress& progress = {});

}  // namespace trireme
