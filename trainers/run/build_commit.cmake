# cmake -DSOURCE=.. -DOUTPUT=.. -P build_commit.cmake: a source file that names the commit, rewritten only when it
# changes.
execute_process(COMMAND git -C "${SOURCE}" rev-parse HEAD
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  set(commit unknown)
else()
  execute_process(COMMAND git -C "${SOURCE}" diff --quiet HEAD RESULT_VARIABLE changed ERROR_QUIET)
  if(changed)
    string(APPEND commit "+changes")
  endif()
endif()
file(CONFIGURE OUTPUT "${OUTPUT}" @ONLY CONTENT [[
#include "trainers/run/build_commit.h"

namespace trireme {
std::string_view build_commit() noexcept { return "@commit@"; }
}  // namespace trireme
]])
