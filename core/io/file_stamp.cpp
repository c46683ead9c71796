#include "core/io/file_stamp.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {

std::string file_stamp(const std::filesystem::path& path) {
  struct stat facts {};
  TRIREME_CHECK(::stat(path.c_str(), &facts) == 0, DataError, path.string(),
                "the file must be there; got \"{}\"; check the path.", std::generic_category().message(errno));
  return fmt::format("{} {} {}.{:09} {}.{:09}", facts.st_size, facts.st_ino, facts.st_mtim.tv_sec,
                     facts.st_mtim.tv_nsec, facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec);
}

}  // namespace trireme
