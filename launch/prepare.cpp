#include "data/preparation/prepare.h"

#include <mutex>
#include <optional>

#include "launch/job.h"
#include "launch/options.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

enum class Dataset { kPictograms };
constexpr auto choice_names(Dataset) {
  return std::to_array<std::pair<Dataset, std::string_view>>({{Dataset::kPictograms, "pictograms"}});
}

struct PrepareVerb {
  struct What {
    Dataset name = Dataset::kPictograms;
    void describe(FieldList& v) { v.field("name", name, "Dataset to prepare.").required().positional(); }
  } what;
  PictogramsOptions pictograms;
  JobOptions job;
};
static_assert(field_count<PrepareVerb::What>() == 1, "describe() must list every field");

PreparedPictograms prepare(const PrepareVerb& verb, const Job& job) {
  std::mutex mutex;
  std::optional<Progress> shown;
  const PictureProgress progress = {
      [&](int64_t total) { shown.emplace(job.console, job.progress("prepare", "pictures", total)); },
      [&](int64_t count) {
        const std::lock_guard lock(mutex);
        shown->advance(count);
      }};
  PreparedPictograms prepared = prepare_pictograms(verb.pictograms, progress);
  if (shown) shown->finish();
  return prepared;
}

void report(const PreparedPictograms& prepared, const PrepareVerb& verb, Log& log) {
  log.info("{:<32}{:>8}{:>8}{:>8}", "counts", "train", "val", "test");
  for (const SplitCounts& row : prepared.manifest.counts)
    log.info("{:<32}{:>8}{:>8}{:>8}", row.what, row.train, row.val, row.test);
  for (const std::string& note : prepared.manifest.notes) log.info("{}", note);
  log.info("{} {} files in {}{}", prepared.was_there ? "verified" : "wrote", prepared.manifest.sha256.size(),
           verb.pictograms.out.string(), prepared.was_there ? ": already prepared, every one as its hash says" : "");
}

}  // namespace

VerbAction add_prepare(Program& program) {
  auto verb = std::make_shared<PrepareVerb>();
  program.add("prepare", "A dataset out of installed packages, ready to train on.", verb->what, verb->pictograms,
              verb->job);
  return [verb](const LaunchInfo& launch) {
    return run_job(launch, verb->job, [verb](Job& job) {
      // One folder, one writer: the work is short, and the other ranks wait for it.
      if (job.communicator.rank() == 0) report(prepare(*verb, job), *verb, job.log);
      job.communicator.barrier();
      return 0;
    });
  };
}

}  // namespace trireme
