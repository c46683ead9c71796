#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/io/hard_negatives_file.h"
#include "core/rng.h"

namespace trireme {

/// Mined lists as numbers: 4 bytes a negative, and each document's id once.
class ListTable {
 public:
  void add(const MinedQuery& query);
  int64_t queries() const noexcept { return static_cast<int64_t>(begin_.size()) - 1; }

  /// How well a document by itself tells gold from negative, without its query, when each query brings one of each:
  /// the best any model can do that reads candidates only.
  DocumentPrior prior() const;

 private:
  friend class BalancedDraw;
  int32_t number_of(const std::string& id);

  std::unordered_map<std::string, int32_t> numbers_;
  std::vector<double> gold_;  ///< [documents] queries that it is gold for, each shared by the query's gold
  std::vector<int32_t> negatives_;
  std::vector<std::size_t> begin_{0};  ///< [queries + 1]
};

/// Draws negatives so that a document is one about as often as it is gold; what is never gold is never drawn.
/// Document d gets a weight w(d), and a query draws from its list in proportion to w. They are found by iterative
/// proportional fitting (Deming and Stephan 1940): w(d) times what is wanted of d over what it gets, again and again.
class BalancedDraw {
 public:
  /// cost: kRounds passes over the table's negatives.
  explicit BalancedDraw(const ListTable& table);

  /// The query with at most `keep` of its negatives, and all its gold; without negatives where all weigh nothing.
  MinedQuery draw(const MinedQuery& query, int64_t keep, RandomStream stream) const;

 private:
  static constexpr int kRounds = 60;
  const ListTable& table_;
  std::vector<double> weight_;
};

}  // namespace trireme
