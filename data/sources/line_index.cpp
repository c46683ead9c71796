#include "data/sources/line_index.h"

#include <algorithm>

#include "core/error.h"

namespace trireme {

LineIndex::LineIndex(const std::filesystem::path& path, Quotes quotes) : file_(path), quotes_(quotes) {
  const std::string_view text = file_.text();
  TRIREME_CHECK(!text.empty(), DataError, path.string(),
                "a record file must hold at least one record; got an empty file; check the path.");
  bool open = false;
  for (std::size_t begin = 0; begin < text.size();) {
    begin_.push_back(begin);
    std::size_t end = std::min(text.find('\n', begin), text.size());
    if (quotes == Quotes::kKeepLinesTogether) {
      for (;; end = std::min(text.find('\n', end + 1), text.size())) {
        // A quote inside quotes is doubled, so whether their number is odd says whether a quote is open.
        if (std::count(text.begin() + static_cast<std::ptrdiff_t>(begin),
                       text.begin() + static_cast<std::ptrdiff_t>(end), '"') %
            2)
          open = !open;
        if (!open || end == text.size()) break;
        begin = end;
      }
    }
    begin = end + 1;
  }
  TRIREME_CHECK(!open, DataError, where(size() - 1),
                "quotes must be closed before the file ends; got one that is not; the file may be cut short.");
}

LineIndex LineIndex::of_lines(const std::filesystem::path& path) { return {path, Quotes::kMeanNothing}; }

LineIndex LineIndex::of_csv(const std::filesystem::path& path) { return {path, Quotes::kKeepLinesTogether}; }

std::string_view LineIndex::operator[](int64_t row) const {
  TRIREME_ASSERT(row >= 0 && row < size(), "row {} of {}", row, size());
  const std::string_view text = file_.text();
  const auto i = static_cast<std::size_t>(row);
  const uint64_t end = i + 1 < begin_.size() ? begin_[i + 1] - 1 : text.size();
  std::string_view line = text.substr(begin_[i], end - begin_[i]);
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

std::string LineIndex::where(int64_t row) const {
  return fmt::format("{}:{}{}", file_.path().string(), quotes_ == Quotes::kMeanNothing ? "" : " record ", row + 1);
}

}  // namespace trireme
