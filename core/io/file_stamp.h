#pragma once

#include <filesystem>
#include <string>

namespace trireme {

/// Size, inode, and the times of the last change of content and of state (mtime, ctime) in nanoseconds: equal as long
/// as nobody wrote to the file or replaced it, since the kernel alone sets a ctime. Another stamp says nothing: the
/// file may have been copied. A short cut past reading large files again; never a part of a fingerprint.
/// throws DataError: no such file.
std::string file_stamp(const std::filesystem::path& path);

}  // namespace trireme
