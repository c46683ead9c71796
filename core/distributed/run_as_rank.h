#pragma once

#include <exception>
#include <functional>
#include <string>

#include "core/distributed/communicator.h"

namespace trireme {

/// What a failing rank would tell the user.
struct RankFailure {
  int exit_code;
  std::string line;
};

/// The line and exit code of an error: "error: [where] required; got; do", with "rank 3/8 " before [where] when size
/// > 1. A mapped file that could not be read (mapping_fault.h) is told in place of what came of it. std::filesystem's
/// errors are DataErrors. Anything else but trireme::Error is our bug, exit code 70; of a libtorch error only the text,
/// without its stack.
RankFailure describe_error(const std::exception& error, int64_t rank, int64_t size);

/// Runs this rank's share of the job and ends it together with the others. Every rank of the group calls it once, last.
///   work    returns the exit code of an orderly end (0, or 75 after a checkpoint).
///   speak   prints one error line; called at most once, and on one rank of the group only.
///   return  the code to leave main() with; the same on every rank if one failed.
///
/// | this rank's work   | elsewhere                   | who speaks                       | returns            |
/// |--------------------|-----------------------------|----------------------------------|--------------------|
/// | returns c          | no rank fails               | nobody                           | c                  |
/// | throws             | the others hear of it       | this rank                        | its code           |
/// | throws             | others throw too            | speaking_rank() of all endings   | the speaker's code |
/// | throws PeerFailed  | another rank failed         | that rank                        | that rank's code   |
/// | any of these       | a rank does not come in time| the speaker, which then aborts   | does not return    |
///
/// In time: options.timeout for a rank that finished, options.grace once any rank has failed. A rank that spends longer
/// than that between collectives calls Communicator::check_peers() meanwhile, or is cut off.
/// After it the ranks leave through MPI_Finalize with one code; `mpirun -q` then adds nothing of its own to stderr.
int run_as_rank(Communicator& communicator, const std::function<int()>& work,
                const std::function<void(const std::string& line)>& speak);

}  // namespace trireme
