#pragma once

#include <string_view>

namespace trireme {

/// Lets no file end this process without a word. Call it first in main():
///  * a write past the limit on file sizes (SIGXFSZ), or to a pipe whose reader is gone (SIGPIPE), fails instead of
///    killing; what goes to standard error and cannot is dropped, and the work goes on;
///  * a mapped file that is cut short (SIGBUS) becomes a DataError (core/io/mapping_fault.h);
///  * standard streams that were closed are opened on /dev/null, standard output so that writing to it fails: the next
///    file opened would get their number otherwise, and what is printed.
void meet_failures_of_files();

/// Prints on standard output, at once and whole, control characters escaped (core/printable.h). The only way to it.
/// throws DataError: it is closed, its reader is gone, its disk is full.
void print(std::string_view lines);

}  // namespace trireme
