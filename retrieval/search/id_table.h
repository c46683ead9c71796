#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme {

/// The ids of a corpus, row by row, in memory: their bytes and 16 bytes each. Knows their order by bytes, which breaks
/// ties between equal scores.
class IdTable {
 public:
  /// `read(first_row, count)` is asked for blocks of rows in order. throws DataError: an id twice (names both rows);
  /// more than 2^31 - 1 rows.
  IdTable(int64_t rows, const std::function<std::vector<std::string>(int64_t first_row, int64_t count)>& read,
          std::string_view where);
  /// Row i is bytes[begin[i], begin[i + 1]).
  IdTable(std::string bytes, std::vector<int64_t> begin, std::string_view where);
  explicit IdTable(const std::vector<std::string>& ids, std::string_view where = "search");

  int64_t rows() const noexcept { return static_cast<int64_t>(place_.size()); }
  std::string_view operator[](int64_t row) const;
  /// 0..rows-1: the row's place when all ids are sorted by ascending bytes.
  int32_t place(int64_t row) const { return place_[static_cast<std::size_t>(row)]; }
  /// The row of an id; nullopt when there is none. O(log rows).
  std::optional<int64_t> find(std::string_view id) const;

 private:
  void sort(std::string_view where);

  std::string bytes_;
  std::vector<int64_t> begin_;           ///< [rows + 1] into bytes_
  std::vector<int32_t> place_, sorted_;  ///< of each row; the row at each place
};

}  // namespace trireme
