#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/io/file.h"
#include "core/json.h"
#include "data/benchmark/task_list.h"

namespace trireme::test {

using Json = nlohmann::json;

inline std::vector<Json> lines_of(const std::filesystem::path& jsonl) {
  std::vector<Json> lines;
  std::istringstream text(read_text_file(jsonl));
  for (std::string line; std::getline(text, line);) lines.push_back(parse_json(line));
  return lines;
}

/// All files below a folder with what they hold.
inline std::map<std::string, std::string> contents_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      contents[entry.path().lexically_relative(folder).string()] = read_text_file(entry.path());
  }
  return contents;
}

/// Every line of qrels, as (query, candidate).
inline std::set<std::pair<std::string, std::string>> qrels_of(const std::filesystem::path& file) {
  std::set<std::pair<std::string, std::string>> pairs;
  std::ifstream text(file);
  for (std::string query, zero, candidate, relevance, task; text >> query >> zero >> candidate >> relevance >> task;)
    pairs.emplace(query, candidate);
  return pairs;
}

/// What must hold for each task, whatever the sources: sizes as listed, every positive in the pool, qrels as the
/// queries say, no query answered by its own picture, every picture there.
inline void expect_sound(const std::filesystem::path& dataset, const EvalTask& task) {
  SCOPED_TRACE(task.id);
  const std::vector<Json> queries = lines_of(dataset / task.query), pool = lines_of(dataset / task.pool);
  EXPECT_EQ(std::ssize(queries), task.queries);
  EXPECT_EQ(std::ssize(pool), task.candidates);
  std::set<std::string> dids;
  for (const Json& candidate : pool) {
    EXPECT_TRUE(dids.insert(candidate.at("did")).second);
    if (candidate.at("img_path").is_null()) continue;
    EXPECT_TRUE(std::filesystem::exists(dataset / candidate.at("img_path").get<std::string>()));
  }
  std::set<std::pair<std::string, std::string>> expected;
  for (const Json& query : queries) {
    EXPECT_EQ(query.at("task_id"), task.task_id);
    EXPECT_FALSE(query.at("pos_cand_list").empty());
    std::set<std::string> excluded;
    for (const Json& did : query.value("exclude_cand_list", Json::array())) excluded.insert(did);
    for (const Json& did : query.at("pos_cand_list")) {
      EXPECT_TRUE(dids.contains(did));
      EXPECT_FALSE(excluded.contains(did));
      expected.emplace(query.at("qid"), did);
    }
  }
  EXPECT_EQ(qrels_of(dataset / task.qrels), expected);
  if (task.global_pool.empty()) return;
  std::set<std::string> global;
  for (const Json& candidate : lines_of(dataset / task.global_pool)) global.insert(candidate.at("did"));
  const auto global_qrels = qrels_of(dataset / task.global_qrels);
  for (const auto& pair : expected) EXPECT_TRUE(global_qrels.contains(pair));
  for (const auto& [query, candidate] : global_qrels) EXPECT_TRUE(global.contains(candidate));
}

/// No concept of val or test in anything that is trained on.
inline void expect_no_leak(const std::filesystem::path& dataset) {
  std::set<std::string> trained;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(dataset)) {
    const std::string path = entry.path().lexically_relative(dataset).string();
    if (!path.ends_with("_train.jsonl") && !path.ends_with("train_cand_pool.jsonl")) continue;
    for (const Json& record : lines_of(entry.path())) trained.insert(record.at("concept"));
  }
  EXPECT_FALSE(trained.empty());
  for (const char* split : {"val", "test"}) {
    for (const auto& entry : std::filesystem::directory_iterator(dataset / "query" / split)) {
      if (entry.path().filename().string().find("_seen_") != std::string::npos) continue;
      for (const Json& query : lines_of(entry.path()))
        EXPECT_FALSE(trained.contains(query.at("concept"))) << entry.path() << " " << query.at("concept");
    }
  }
}

}  // namespace trireme::test
