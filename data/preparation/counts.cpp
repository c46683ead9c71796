#include <algorithm>
#include <functional>
#include <map>

#include "core/error.h"
#include "data/preparation/catalogue.h"

namespace trireme {
namespace {

/// What the package versions known to packages.cpp give.
const std::vector<SplitCounts>& expected_counts() {
  static const std::vector<SplitCounts> kExpected = {
      {"concepts (families of emoji)", 994, 155, 276},
      {"pictures by Noto", 1129, 166, 306},
      {"pictures by EmojiOne", 772, 120, 214},
      {"pictures by Symbola", 794, 121, 220},
      {"drawn by all three", 746, 117, 210},
      {"ordered pairs of artists", 4624, 716, 1288},
      {"ordered pairs of skin tones", 6420, 660, 1860},
      {"stamps", 482, 72, 147},
  };
  return kExpected;
}
SplitCounts stamps_without_svg() { return {"stamps", 372, 56, 110}; }

int64_t& count_of(SplitCounts& row, Split split) {
  switch (split) {
    case Split::kTrain:
      return row.train;
    case Split::kVal:
      return row.val;
    case Split::kTest:
      break;
  }
  return row.test;
}

bool is_close(int64_t count, int64_t expected, bool exactly) {
  return exactly ? count == expected : std::abs(count - expected) * 10 <= expected;
}

}  // namespace

std::vector<SplitCounts> count_splits(const std::vector<Pictogram>& pictograms, const std::vector<StampEntry>& stamps) {
  std::vector<SplitCounts> rows = expected_counts();
  for (SplitCounts& row : rows) row = {row.what};
  std::map<std::string_view, Split> families;
  for (const Pictogram& pictogram : pictograms) {
    families.emplace(pictogram.family, pictogram.split);
    int64_t artists = 0;
    for (std::size_t style = 0; style < kStyles.size(); ++style) {
      if (pictogram.picture[style].empty()) continue;
      ++count_of(rows[1 + style], pictogram.split);
      ++artists;
    }
    count_of(rows[4], pictogram.split) += artists == std::ssize(kStyles);
    count_of(rows[5], pictogram.split) += artists * (artists - 1);
    constexpr int64_t kTonesAndNone = std::ssize(kTones) + 1;
    if (!pictogram.toned[0].empty()) count_of(rows[6], pictogram.split) += kTonesAndNone * (kTonesAndNone - 1);
  }
  for (const auto& [family, split] : families) ++count_of(rows[0], split);
  for (const StampEntry& stamp : stamps) ++count_of(rows[7], stamp.split);
  return rows;
}

void check_counts(const std::vector<SplitCounts>& counts, const PictogramPackages& packages) {
  std::vector<SplitCounts> expected = expected_counts();
  if (packages.svg_converter().empty()) expected.back() = stamps_without_svg();
  const bool exactly = packages.are_known_versions();
  std::vector<std::string> off;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const SplitCounts &want = expected[i], &got = counts.at(i);
    if (is_close(got.train, want.train, exactly) && is_close(got.val, want.val, exactly) &&
        is_close(got.test, want.test, exactly))
      continue;
    off.push_back(fmt::format("{} {} / {} / {} instead of {} / {} / {}", got.what, got.train, got.val, got.test,
                              want.train, want.val, want.test));
  }
  TRIREME_CHECK(off.empty(), DataError, "prepare pictograms",
                "train / val / test counts must be {} those of the known packages; got {}; reinstall the packages, or "
                "pass --no-check-counts to use them as they are.",
                exactly ? "equal to" : "within a tenth of", fmt::join(off, ", "));
}

}  // namespace trireme
