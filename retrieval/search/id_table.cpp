#include "retrieval/search/id_table.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

void check_rows(int64_t rows, std::string_view where) {
  TRIREME_CHECK(rows <= std::numeric_limits<int32_t>::max(), DataError, where,
                "a corpus must hold at most 2^31 - 1 rows; got {}; search it in parts.", rows);
}

}  // namespace

IdTable::IdTable(int64_t rows, const std::function<std::vector<std::string>(int64_t, int64_t)>& read,
                 std::string_view where) {
  constexpr int64_t kRowsAtOnce = 65536;
  check_rows(rows, where);
  begin_.reserve(static_cast<std::size_t>(rows) + 1);
  begin_.push_back(0);
  for (int64_t first = 0; first < rows; first += kRowsAtOnce)
    for (const std::string& id : read(first, std::min(kRowsAtOnce, rows - first))) {
      bytes_ += id;
      begin_.push_back(std::ssize(bytes_));
    }
  TRIREME_ASSERT(std::ssize(begin_) == rows + 1, "{} ids of {}", begin_.size() - 1, rows);
  sort(where);
}

IdTable::IdTable(std::string bytes, std::vector<int64_t> begin, std::string_view where)
    : bytes_(std::move(bytes)), begin_(std::move(begin)) {
  TRIREME_ASSERT(!begin_.empty() && begin_.front() == 0 && begin_.back() == std::ssize(bytes_), "{} bytes of ids",
                 bytes_.size());
  check_rows(std::ssize(begin_) - 1, where);
  sort(where);
}

IdTable::IdTable(const std::vector<std::string>& ids, std::string_view where)
    : IdTable(
          std::ssize(ids),
          [&](int64_t first, int64_t count) {
            return std::vector<std::string>(ids.begin() + first, ids.begin() + first + count);
          },
          where) {}

std::string_view IdTable::operator[](int64_t row) const {
  const int64_t begin = begin_[static_cast<std::size_t>(row)], end = begin_[static_cast<std::size_t>(row) + 1];
  return std::string_view(bytes_).substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

std::optional<int64_t> IdTable::find(std::string_view id) const {
  const auto found = std::lower_bound(sorted_.begin(), sorted_.end(), id,
                                      [&](int32_t row, std::string_view wanted) { return (*this)[row] < wanted; });
  if (found == sorted_.end() || (*this)[*found] != id) return std::nullopt;
  return *found;
}

void IdTable::sort(std::string_view where) {
  const std::size_t rows = begin_.size() - 1;
  sorted_.resize(rows);
  std::iota(sorted_.begin(), sorted_.end(), 0);
  // std::string_view compares bytes as unsigned, which is also the order of the code points of UTF-8.
  std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) { return (*this)[a] < (*this)[b]; });
  place_.resize(rows);
  for (std::size_t place = 0; place < rows; ++place) {
    const int32_t row = sorted_[place];
    place_[static_cast<std::size_t>(row)] = static_cast<int32_t>(place);
    if (place == 0) continue;
    const int32_t other = sorted_[place - 1];
    TRIREME_CHECK((*this)[row] != (*this)[other], DataError, where,
                  "ids must be distinct; got {} at rows {} and {}; embed records with distinct ids.",
                  quote_text((*this)[row]), std::min(row, other), std::max(row, other));
  }
}

}  // namespace trireme
