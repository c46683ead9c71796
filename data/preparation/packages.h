#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/benchmark/dataset_folder.h"

namespace trireme {

/// The Debian packages that Pictograms is made of, found below a root (`/`, or a folder they were unpacked to).
class PictogramPackages {
 public:
  /// throws DataError: packages are missing (all are named, with the apt line that installs them).
  explicit PictogramPackages(std::filesystem::path root);

  std::filesystem::path noto_font() const;
  std::filesystem::path symbola_font() const;
  std::filesystem::path emojione_pictures() const;  ///< folder of PNG files
  std::filesystem::path emoji_test() const;
  std::filesystem::path cldr() const;     ///< folder of annotations/ and annotationsDerived/
  std::filesystem::path stamps() const;   ///< folder of Tux Paint's stamps
  std::filesystem::path wordnet() const;  ///< folder of data.noun, data.verb
  /// The program that draws SVG; empty without librsvg2-bin, which is the only package that may be missing.
  std::filesystem::path svg_converter() const;

  /// Name, version (as dpkg has it; "unknown" when the root has no dpkg database), contents, licence.
  const std::vector<SourcePackage>& sources() const noexcept { return sources_; }
  /// The package's own licence file (Debian's copyright).
  std::filesystem::path copyright_of(const SourcePackage& source) const;
  /// Whether all are the versions (upstream's part) that the expected counts were taken from.
  bool are_known_versions() const;

 private:
  std::filesystem::path root_;
  std::vector<SourcePackage> sources_;
};

}  // namespace trireme
