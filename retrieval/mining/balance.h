#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/rng.h"
#include "data/sources/hard_negatives_file.h"

namespace trireme {

/// How often each document is a positive and how often a negative, when each query brings one of each. Memory: the ids.
class DocumentShares {
 public:
  /// -> number of a document: 0, 1, .. in the order they come.
  std::size_t number_of(const std::string& id);
  void add(const MinedQuery& query);
  int64_t queries() const noexcept { return queries_; }

  /// How well a document by itself, without its query, tells positives from negatives: the best any model can do that
  /// reads candidates only.
  DocumentPrior prior() const;

 private:
  friend class BalancedDraw;
  int64_t queries_ = 0;
  std::unordered_map<std::string, std::size_t> numbers_;
  std::vector<double> positive_, negative_;  ///< [documents] shared among a query's positives, among its negatives
};

/// Mined lists as numbers: 4 bytes a negative beside the shares.
class ListTable {
 public:
  void add(const MinedQuery& query);
  const DocumentShares& shares() const noexcept { return shares_; }

 private:
  friend class BalancedDraw;
  DocumentShares shares_;
  std::vector<uint32_t> negatives_;
  std::vector<std::size_t> begin_{0};  ///< [queries + 1]
};

/// Draws negatives so that a document is one about as often as it is a positive; what is never that is never drawn.
/// Document d gets a weight w(d), and a query draws from its list in proportion to w. They are found by iterative
/// proportional fitting (Deming and Stephan 1940): w(d) times what is wanted of d over what it gets, again and again.
class BalancedDraw {
 public:
  /// cost: kRounds passes over the table's negatives.
  explicit BalancedDraw(const ListTable& table);

  /// The query with at most `keep` of its negatives, and all its positives; without negatives where all weigh nothing.
  MinedQuery draw(const MinedQuery& query, int64_t keep, RandomStream stream) const;

 private:
  static constexpr int kRounds = 60;
  const ListTable& table_;
  std::vector<double> weight_;
};

}  // namespace trireme
