#pragma once

#include <filesystem>
#include <string>

#include "core/config/field_list.h"
#include "data/benchmark/dataset_folder.h"
#include "data/preparation/catalogue.h"

namespace trireme {

struct PictogramsOptions {
  std::filesystem::path out;
  std::filesystem::path package_root = "/";
  bool check_counts = true;

  template <class V>
  void describe(V& v) {
    v.field("out", out, "Folder to write; one that was prepared before is verified.").required().placeholder("DIR");
    v.field("package_root", package_root, "Where the Debian packages lie: / or a folder they were unpacked to.");
    v.field("check_counts", check_counts, "Refuse sources that give other counts of pictures and concepts.");
  }
};
static_assert(field_count<PictogramsOptions>() == 3, "describe() must list every field");

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
