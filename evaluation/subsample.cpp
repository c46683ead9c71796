#include "evaluation/subsample.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/error.h"

namespace trireme {
namespace {

/// `count` of 0 .. size-1, evenly spaced, the first among them; all where there are no more.
std::vector<int64_t> spaced_rows(int64_t size, int64_t count) {
  count = std::min(size, count);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(i * size / count);
  return rows;
}

/// Those of `needed`, and evenly spaced others until there are `most`.
std::vector<int64_t> rows_with(const std::set<int64_t>& needed, int64_t size, int64_t most) {
  std::vector<int64_t> others;
  for (int64_t row = 0; row < size; ++row) {
    if (!needed.contains(row)) others.push_back(row);
  }
  std::vector<int64_t> rows(needed.begin(), needed.end());
  const int64_t room = std::max<int64_t>(0, most - std::ssize(rows));
  for (const int64_t other : spaced_rows(std::ssize(others), room)) {
    rows.push_back(others[static_cast<std::size_t>(other)]);
  }
  std::ranges::sort(rows);
  return rows;
}

template <class T>
std::vector<T> chosen(std::vector<T>&& all, const std::vector<int64_t>& rows) {
  std::vector<T> out;
  for (const int64_t row : rows) out.push_back(std::move(all[static_cast<std::size_t>(row)]));
  return out;
}

void keep(EvalFile& file, const std::vector<int64_t>& rows) {
  std::vector<std::string> ids;
  for (const int64_t row : rows) ids.emplace_back(file.ids[row]);
  file.records.keep(rows);
  file.ids = IdTable(ids, file.path.string());
  if (!file.content.empty()) file.content = chosen(std::move(file.content), rows);
}

void keep_queries(EvalSearch& search, const std::vector<int64_t>& rows) {
  search.relevant = chosen(std::move(search.relevant), rows);
  if (!search.excluded.empty()) search.excluded = chosen(std::move(search.excluded), rows);
}

/// Rows of the pool by their new numbers; those that left it are left out.
std::vector<int64_t> renumbered(const std::vector<int64_t>& rows, const std::vector<int64_t>& kept) {
  std::vector<int64_t> out;
  for (const int64_t row : rows) {
    const auto at = std::ranges::lower_bound(kept, row);
    if (at != kept.end() && *at == row) out.push_back(at - kept.begin());
  }
  return out;
}

void subsample_queries(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches, int64_t most) {
  std::set<std::size_t> query_files;
  for (const EvalSearch& search : searches) query_files.insert(search.queries);
  for (const std::size_t file : query_files) {
    const std::vector<int64_t> rows = spaced_rows(files[file]->records.size(), most);
    if (std::ssize(rows) == files[file]->records.size()) continue;
    keep(*files[file], rows);
    for (EvalSearch& search : searches) {
      if (search.queries == file) keep_queries(search, rows);
    }
  }
}

void subsample_pools(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches, int64_t most) {
  std::set<std::size_t> pools;
  for (const EvalSearch& search : searches) pools.insert(search.pool);
  for (const std::size_t file : pools) {
    EvalFile& pool = *files[file];
    std::set<int64_t> needed;
    for (const EvalSearch& search : searches) {
      if (search.pool != file) continue;
      for (const auto& documents : search.relevant) {
        for (const RelevantDocument& document : documents) {
          if (const auto row = pool.ids.find(document.did)) needed.insert(*row);
        }
      }
    }
    const std::vector<int64_t> rows = rows_with(needed, pool.records.size(), most);
    if (rows.empty() || std::ssize(rows) == pool.records.size()) continue;
    keep(pool, rows);
    for (EvalSearch& search : searches) {
      if (search.pool != file) continue;
      for (std::vector<int64_t>& excluded : search.excluded) excluded = renumbered(excluded, rows);
    }
  }
}

void count_excluded(std::vector<EvalSearch>& searches) {
  for (EvalSearch& search : searches) {
    search.most_excluded = 0;
    for (const auto& excluded : search.excluded) {
      search.most_excluded = std::max(search.most_excluded, std::ssize(excluded));
    }
    if (search.most_excluded == 0) search.excluded.clear();
  }
}

}  // namespace

void subsample(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches,
               const EvalSubset& subset) {
  if (subset.max_queries) subsample_queries(files, searches, *subset.max_queries);
  if (subset.max_candidates) subsample_pools(files, searches, *subset.max_candidates);
  count_excluded(searches);
}

void leave_out(std::vector<std::unique_ptr<EvalFile>>& files, std::vector<EvalSearch>& searches,
               std::vector<std::vector<int64_t>> skipped) {
  const auto is_skipped = [&](std::size_t file, int64_t row) { return std::ranges::binary_search(skipped[file], row); };
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& part_of = files[i]->part_of;
    if (!part_of || skipped[part_of->file].empty()) continue;
    for (std::size_t row = 0; row < part_of->rows.size(); ++row)
      if (is_skipped(part_of->file, part_of->rows[row])) skipped[i].push_back(static_cast<int64_t>(row));
  }
  std::vector<std::vector<int64_t>> kept(files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (int64_t row = 0; row < files[i]->records.size(); ++row)
      if (!is_skipped(i, row)) kept[i].push_back(row);
    TRIREME_CHECK(!kept[i].empty(), DataError, files[i]->path.string(),
                  "a file must have a record that can be read; got {} that cannot; check the pictures.",
                  skipped[i].size());
  }
  for (EvalSearch& search : searches) {
    if (!skipped[search.queries].empty()) keep_queries(search, kept[search.queries]);
    if (skipped[search.pool].empty()) continue;
    const EvalFile& pool = *files[search.pool];
    for (const auto& documents : search.relevant) {
      for (const RelevantDocument& document : documents) {
        const auto row = pool.ids.find(document.did);
        search.missing += row && is_skipped(search.pool, *row);
      }
    }
    for (std::vector<int64_t>& excluded : search.excluded) excluded = renumbered(excluded, kept[search.pool]);
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    auto& part_of = files[i]->part_of;
    if (part_of && !skipped[part_of->file].empty())
      part_of->rows = renumbered(chosen(std::move(part_of->rows), kept[i]), kept[part_of->file]);
  }
  for (std::size_t i = 0; i < files.size(); ++i)
    if (!skipped[i].empty()) keep(*files[i], kept[i]);
  count_excluded(searches);
}

}  // namespace trireme
