#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/sources/hard_negatives_file.h"

namespace trireme::test {

/// Documents found for a query, best first, and those that are right for it.
struct MinedList {
  std::string query_id;
  std::vector<std::string> documents, positives;
};

/// Writes a file of hard negatives as `trireme mine` does. Scores fall by 0.01 from 0.9 on.
inline void write_mined_file(const std::filesystem::path& path, const std::vector<MinedList>& lists,
                             const std::string& model_sha256 = "of no retriever") {
  std::vector<MinedQuery> queries;
  for (const MinedList& list : lists) {
    MinedQuery query{.id = list.query_id, .documents = {}, .positives = {}};
    for (const std::string& id : list.positives) query.positives.push_back({.id = id, .score = 0.5F});
    float score = 0.9F;
    for (const std::string& id : list.documents) {
      MinedDocument document{.id = id, .score = score, .positive = false};
      for (ScoredPositive& positive : query.positives) {
        if (positive.id != id) continue;
        document.positive = true;
        positive.score = score;
      }
      query.documents.push_back(document);
      score -= 0.01F;
    }
    queries.push_back(std::move(query));
  }
  HardNegativesWriter writer(path);
  writer.write(queries);
  HardNegativesInfo info;
  info.model = "a/retriever";
  info.model_sha256 = model_sha256;
  info.rope_mode = "mrope";
  info.corpus = "pool.jsonl";
  info.corpus_sha256 = "of the pool";
  info.filters = "{}";
  info.config_sha256 = "of the options";
  info.depth = 100;
  writer.commit(info);
}

}  // namespace trireme::test
