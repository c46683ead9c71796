#include "data/sources/line_index.h"

#include <algorithm>

#include "core/error.h"
#include "core/io/text.h"

namespace trireme {
namespace {

/// The line end, or the end of the text, that ends the CSV record at `begin`; npos when a quote stays open. A quote
/// opens only where a field begins and means itself elsewhere, as Python's csv and Excel read it: 5" nail,"a, b" are
/// two fields.
std::size_t end_of_csv_record(std::string_view text, std::size_t begin) {
  for (std::size_t i = begin;; ++i) {
    if (i < text.size() && text[i] == '"') {
      for (++i; i < text.size(); ++i) {
        if (text[i] != '"') continue;
        if (i + 1 < text.size() && text[i + 1] == '"') {
          ++i;  // two of them: one that belongs to the field
        } else {
          break;
        }
      }
      if (i == text.size()) return text.npos;
    }
    i = std::min(text.find_first_of(",\n", i), text.size());
    if (i == text.size() || text[i] == '\n') return i;
  }
}

/// Up to the end of the last line that is not blank: editors and shells end a file with more than one line end.
std::string_view without_blank_end(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == text.npos ? 0 : std::min(text.size(), text.find('\n', last)));
}

}  // namespace

LineIndex::LineIndex(const std::filesystem::path& path, Quotes quotes)
    : file_(path), text_(without_blank_end(utf8_text(file_.text(), path))), quotes_(quotes) {
  TRIREME_CHECK(!text_.empty(), DataError, path.string(),
                "a record file must hold at least one record; got an empty file; check the path.");
  const bool one_line = file_.text().find('\n') == text_.npos;
  TRIREME_CHECK(!one_line || text_.substr(0, text_.size() - 1).find('\r') == text_.npos, DataError, path.string(),
                "lines must end with a line feed; got carriage returns alone, as old Macs write; convert the file "
                "(tr '\\r' '\\n' < OLD > NEW).");
  for (std::size_t begin = 0; begin < text_.size();) {
    begin_.push_back(begin);
    if (quotes == Quotes::kMeanNothing) {
      begin = std::min(text_.find('\n', begin), text_.size()) + 1;
      continue;
    }
    const std::size_t end = end_of_csv_record(text_, begin);
    TRIREME_CHECK(end != text_.npos, DataError, where(size() - 1),
                  "quotes must be closed before the file ends; got a field that opens one and does not close it; close "
                  "it, or double the quotes inside a field.");
    begin = end + 1;
  }
}

LineIndex LineIndex::of_lines(const std::filesystem::path& path) { return {path, Quotes::kMeanNothing}; }

LineIndex LineIndex::of_csv(const std::filesystem::path& path) { return {path, Quotes::kKeepLinesTogether}; }

std::string_view LineIndex::operator[](int64_t row) const {
  TRIREME_ASSERT(row >= 0 && row < size(), "row {} of {}", row, size());
  const auto i = static_cast<std::size_t>(row);
  const uint64_t end = i + 1 < begin_.size() ? begin_[i + 1] - 1 : text_.size();
  std::string_view line = text_.substr(begin_[i], end - begin_[i]);
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

std::string LineIndex::where(int64_t row) const {
  return fmt::format("{}:{}{}", file_.path().string(), quotes_ == Quotes::kMeanNothing ? "" : " record ", row + 1);
}

}  // namespace trireme
