#include "data/preparation/prepare.h"

#include "core/config/field_list.h"
#include "core/error.h"
#include "data/preparation/benchmark_files.h"

namespace trireme {

void PictogramsOptions::describe(FieldList& v) {
  v.field("out", out, "Folder to write; one that was prepared before is verified.").required().placeholder("DIR");
  v.field("package_root", package_root, "Where the Debian packages lie: / or a folder they were unpacked to.");
  v.field("check_counts", check_counts, "Refuse sources that give other counts of pictures and concepts.");
}
static_assert(field_count<PictogramsOptions>() == 3, "describe() must list every field");
namespace {

PreparedPictograms verify(const PictogramsOptions& options, const PictogramPackages& packages) {
  const std::string where = options.out.string();
  DatasetManifest manifest = read_manifest(options.out);
  TRIREME_CHECK(manifest.dataset == "pictograms", DataError, where,
                "the folder must hold pictograms or nothing; got the dataset {}; give another --out.",
                manifest.dataset);
  for (const SourcePackage& source : packages.sources()) {
    TRIREME_CHECK(
        std::find(manifest.sources.begin(), manifest.sources.end(), source) != manifest.sources.end(), DataError, where,
        "the dataset must be made of the packages as they are installed; got another version than {} {}; remove the "
        "folder, or give another --out.",
        source.name, source.version);
  }
  verify_files(options.out, manifest);
  return {true, std::move(manifest)};
}

}  // namespace

PreparedPictograms prepare_pictograms(const PictogramsOptions& options, const PictureProgress& progress) {
  const PictogramPackages packages(options.package_root);
  if (is_prepared_dataset(options.out)) return verify(options, packages);

  DatasetWriter out(options.out);
  const Catalogue catalogue = build_catalogue(packages, out, progress);
  if (options.check_counts) check_counts(catalogue.counts, packages);
  const PictogramQueries pictograms(catalogue);
  const StampQueries stamps(catalogue);
  const NextQuery next = write_training_files(catalogue, pictograms, stamps, out);
  write_evaluation_files(pictograms, stamps, next, out);
  write_instructions(out);
  write_licences(packages, out);

  DatasetManifest manifest;
  manifest.dataset = "pictograms";
  manifest.sources = packages.sources();
  manifest.counts = catalogue.counts;
  manifest.notes = catalogue.notes;
  return {false, out.commit(std::move(manifest))};
}

}  // namespace trireme
