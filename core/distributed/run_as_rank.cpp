#include "core/distributed/run_as_rank.h"

#include <algorithm>
#include <filesystem>
#include <new>

#include <c10/util/Exception.h>

#include "core/distributed/collective.h"
#include "core/distributed/mpi.h"
#include "core/io/mapping_fault.h"
#include "core/io/quote.h"
#include "core/printable.h"

namespace trireme {
namespace {

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return printable(text);
}

RankFailure describe(const std::exception& error) {
  // What a file that could not be read led to (zeros for weights) is not what has to be told.
  if (const auto fault = mapping_fault()) return {fault->exit_code(), one_line(fault->what())};
  if (const auto* ours = dynamic_cast<const Error*>(&error)) return {ours->exit_code(), one_line(ours->what())};
  if (const auto* file_error = dynamic_cast<const std::filesystem::filesystem_error*>(&error)) {
    return {DataError::kExitCode,
            fmt::format("[file] {} must be there, and open to this user; got \"{}\"; check the path, its permissions "
                        "and the disk.",
                        quote_path(file_error->path1()), file_error->code().message())};
  }
  constexpr std::string_view kReport = "this is a bug in Trireme, please report it.";
  if (const auto* torch_error = dynamic_cast<const c10::Error*>(&error)) {
    return {InternalError::kExitCode, one_line(fmt::format("[libtorch] the call must succeed; got {}; {}",
                                                           torch_error->what_without_backtrace(), kReport))};
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return {InternalError::kExitCode,
            "[memory] an allocation must succeed; got none; free memory or use smaller batches."};
  }
  return {InternalError::kExitCode,
          one_line(fmt::format("[program] no other error may get here; got {}; {}", error.what(), kReport))};
}

using Endings = std::vector<std::optional<RankEnding>>;

bool failed_by_itself(const std::optional<RankEnding>& ending) {
  return ending && (ending->kind == RankEnding::Kind::kFailed || ending->kind == RankEnding::Kind::kDistFailed);
}

std::vector<int64_t> unknown_ranks(const Endings& endings) {
  std::vector<int64_t> unknown;
  for (int64_t rank = 0; rank < std::ssize(endings); ++rank) {
    if (!endings[rank]) unknown.push_back(rank);
  }
  return unknown;
}

/// The code that every rank leaves with once all endings are known: the speaker's; or, when the speaker came too late
/// to be known as one, the code that its echo carries.
int common_exit_code(const Endings& endings, std::optional<int64_t> speaker, int mine) {
  if (speaker) return endings[*speaker]->exit_code;
  for (const std::optional<RankEnding>& ending : endings) {
    if (ending && ending->kind == RankEnding::Kind::kPeerFailed) return ending->exit_code;
  }
  return mine;
}

/// How this rank's work ended, and what it would say about that.
struct Outcome {
  RankEnding ending;
  std::string line;
};

Outcome failed(RankEnding::Kind kind, const std::exception& error, const Communicator& communicator) {
  RankFailure failure = describe_error(error, communicator.rank(), communicator.size());
  return {{kind, failure.exit_code}, std::move(failure.line)};
}

Outcome run(const std::function<int()>& work, const Communicator& communicator) {
  try {
    const int exit_code = work();
    require_mappings_whole();
    return {{RankEnding::Kind::kFinished, exit_code}, {}};
  } catch (const PeerFailed& error) {
    return {{RankEnding::Kind::kPeerFailed, error.rank_exit_code}, {}};
  } catch (const DistError& error) {
    return failed(RankEnding::Kind::kDistFailed, error, communicator);
  } catch (const std::exception& error) {
    return failed(RankEnding::Kind::kFailed, error, communicator);
  }
}

}  // namespace

RankFailure describe_error(const std::exception& error, int64_t rank, int64_t size) {
  RankFailure failure = describe(error);
  failure.line = size > 1 ? fmt::format("error: rank {}/{} {}", rank, size, failure.line) : "error: " + failure.line;
  return failure;
}

int run_as_rank(Communicator& communicator, const std::function<int()>& work,
                const std::function<void(const std::string& line)>& speak) {
  const int64_t rank = communicator.rank();
  const CommunicatorOptions& options = communicator.options();
  Outcome mine = run(work, communicator);
  Endings endings;
  if (mine.ending.kind == RankEnding::Kind::kFinished) {
    endings = communicator.gather_endings(mine.ending, options.timeout);
    const std::vector<int64_t> unknown = unknown_ranks(endings);
    if (!unknown.empty() && std::ranges::none_of(endings, failed_by_itself)) {
      const double timeout_s = std::chrono::duration<double>(options.timeout).count();
      const std::vector<int64_t> stopped = stopped_ranks(communicator);
      const DistError lost(
          "dist", fmt::format("every rank must end within {:g} s of the first; got rank {} finished and {}; look for a "
                              "rank that is stuck or slow, or raise the timeout.",
                              timeout_s, rank,
                              stopped.empty() ? ranks_text(unknown) + " at work or lost" : stopped_text(stopped)));
      mine = failed(RankEnding::Kind::kDistFailed, lost, communicator);
    }
  }
  if (mine.ending.kind != RankEnding::Kind::kFinished) {
    if (failed_by_itself(mine.ending)) communicator.announce_failure(mine.ending);
    endings = communicator.gather_endings(mine.ending, options.grace);
  }

  const std::optional<int64_t> speaker = speaking_rank(endings);
  const int exit_code = common_exit_code(endings, speaker, mine.ending.exit_code);
  if (speaker == rank) speak(mine.line);
  if (unknown_ranks(endings).empty()) return exit_code;
  // The speaker cuts the job off; if it is gone too, another rank does, after the time that the speaker may have taken.
  if (speaker != rank && unknown_ranks(communicator.gather_endings(mine.ending, options.grace)).empty())
    return exit_code;
  communicator.abort(exit_code);
}

}  // namespace trireme
