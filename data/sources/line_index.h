#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/io/file.h"

namespace trireme {

/// A memory-mapped text file and where each of its records begins: 8 bytes a record, any of them at the cost of a page
/// of the file. A UTF-8 byte order mark, CRLF and blank lines at the end are no part of it.
class LineIndex {
 public:
  /// One record a line. throws DataError: missing, unreadable or empty file, no UTF-8 text (utf8_text()), lines
  /// that end with a carriage return alone.
  static LineIndex of_lines(const std::filesystem::path& path);
  /// One record a line outside quotes, as in CSV (RFC 4180). throws DataError: also quotes that are never closed.
  static LineIndex of_csv(const std::filesystem::path& path);

  int64_t size() const noexcept { return static_cast<int64_t>(begin_.size()); }
  /// Without its end of line.
  std::string_view operator[](int64_t row) const;
  /// "file.jsonl:17", or "file.csv: record 17", for messages.
  std::string where(int64_t row) const;
  const std::filesystem::path& path() const noexcept { return file_.path(); }

 private:
  enum class Quotes : bool { kMeanNothing, kKeepLinesTogether };
  LineIndex(const std::filesystem::path& path, Quotes quotes);

  MappedFile file_;
  std::string_view text_;  ///< of the file: without a byte order mark, and without blank lines at its end
  Quotes quotes_;
  std::vector<uint64_t> begin_;
};

}  // namespace trireme
