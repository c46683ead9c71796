#include "retrieval/search/indexed_records.h"

#include <span>

#include "core/io/hash.h"

namespace trireme {

IndexedRecords open_indexed(const std::filesystem::path& jsonl, RecordOptions options) {
  std::string bytes;
  std::vector<int64_t> begin{0};
  std::vector<uint64_t> content;
  RecordFile records(jsonl, std::move(options), [&](int64_t, const Record& record) {
    bytes += record.id;
    begin.push_back(std::ssize(bytes));
    const std::string both = record.text + '\0' + record.image;
    content.push_back(xxh3_64(std::as_bytes(std::span(both))));
  });
  return {std::move(records), IdTable(std::move(bytes), std::move(begin), jsonl.string()), std::move(content)};
}

}  // namespace trireme
