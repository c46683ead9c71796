#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"
#include "core/shape.h"
#include "retrieval/search/run_file.h"
#include "retrieval/search/search.h"

namespace trireme {
namespace {

/// Readers split lines at C's white space, and some at Unicode's; an id with either would not come back whole.
bool fits_a_column(std::string_view text) {
  constexpr std::string_view kUnicodeSpaces[] = {"\u0085", "\u00a0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003",
                                                 "\u2004", "\u2005", "\u2006", "\u2007", "\u2008", "\u2009", "\u200a",
                                                 "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};
  return !text.empty() && text.find_first_of(" \t\n\v\f\r\x1c\x1d\x1e\x1f") == text.npos &&
         std::none_of(std::begin(kUnicodeSpaces), std::end(kUnicodeSpaces),
                      [&](std::string_view space) { return text.find(space) != text.npos; });
}

void check_id(std::string_view id, std::string_view whose) {
  TRIREME_CHECK(fits_a_column(id), DataError, "trec",
                "ids in TREC's form must be words without white space; got {} id {}; leave --trec out.", whose,
                quote_text(id));
}

}  // namespace

struct TrecWriter::State {
  State(const std::filesystem::path& path, std::string run_tag) : file(path), tag(std::move(run_tag)) {}
  AtomicFile file;
  std::string tag;
};

TrecWriter::TrecWriter(const std::filesystem::path& path, std::string tag) {
  TRIREME_CHECK(fits_a_column(tag), ConfigError, "trec",
                "the tag must be a word without white space; got {}; change it.", quote_text(tag));
  state_ = std::make_unique<State>(path, std::move(tag));
}
TrecWriter::TrecWriter(TrecWriter&&) noexcept = default;
TrecWriter::~TrecWriter() = default;

void TrecWriter::write(std::span<const std::string> query_ids, std::span<const std::string> doc_ids,
                       const torch::Tensor& scores) {
  const int64_t count = std::ssize(query_ids), depth = scores.size(1);
  TRIREME_ASSERT(std::ssize(doc_ids) == count * depth && scores.size(0) == count && scores.is_contiguous(),
                 "{} queries, {} documents, scores {}", count, doc_ids.size(), shape_string(scores));
  const float* const values = scores.const_data_ptr<float>();
  std::string text;
  for (int64_t q = 0; q < count; ++q) {
    const std::string& query = query_ids[static_cast<std::size_t>(q)];
    check_id(query, "query");
    for (int64_t i = 0; i < list_length(scores, q); ++i) {
      const std::string& doc = doc_ids[static_cast<std::size_t>(q * depth + i)];
      check_id(doc, "document");
      fmt::format_to(std::back_inserter(text), "{} Q0 {} {} {:.9g} {}\n", query, doc, i + 1, values[q * depth + i],
                     state_->tag);
    }
  }
  state_->file.write(text);
}

void TrecWriter::commit() { state_->file.commit(); }

}  // namespace trireme
