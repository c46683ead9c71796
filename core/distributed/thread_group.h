#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/distributed/collective.h"

namespace trireme {

/// What the ranks of run_ranks (core/distributed/thread.h) share: everything under one mutex, every change wakes all
/// waits. The rank that arrives last at a collective carries it out for all.
class ThreadGroup {
 public:
  ThreadGroup(int64_t ranks, std::chrono::milliseconds grace);
  int64_t ranks() const noexcept { return ranks_; }

  /// `sequence` counts a rank's calls, those of verify too.
  void arrive(int64_t rank, uint64_t sequence, const Collective& call);
  void wait_for_all(int64_t rank, uint64_t sequence, const LedgerEntry& entry, std::chrono::milliseconds timeout);

  /// Messages are copied, so a send never waits. `index` counts the messages from one rank to another, from 0.
  void send(int64_t from, const Collective& call);
  void receive(int64_t to, std::size_t index, const Collective& call, std::chrono::milliseconds timeout);

  void check_peers(int64_t rank);
  void announce_failure(int64_t rank, const RankEnding& ending);
  /// The rank's thread is over: what it has not entered by now it never will.
  void set_returned(int64_t rank);
  std::vector<std::optional<RankEnding>> gather_endings(int64_t rank, const RankEnding& mine,
                                                        std::chrono::milliseconds patience);

 private:
  /// One collective on its way.
  struct Meeting {
    std::vector<std::optional<Collective>> calls;
    int64_t arrived = 0;
    int64_t left = 0;
    bool done = false;
    /// The first rank whose wait ended by its timeout; the meeting then never takes place.
    std::optional<int64_t> given_up_by;
    std::optional<DistError> mismatch;
  };
  struct Message {
    LedgerEntry entry;
    std::vector<std::byte> content;
  };

  Meeting& meeting(uint64_t sequence);
  std::vector<int64_t> missing_ranks(const Meeting& meeting) const;
  std::vector<int64_t> returned_of(std::vector<int64_t> ranks) const;
  std::optional<int64_t> failed_peer(int64_t rank) const;
  void throw_if_peer_failed(int64_t rank) const;

  const int64_t ranks_;
  const std::chrono::milliseconds grace_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Meeting> meetings_;
  std::map<std::pair<int64_t, int64_t>, std::deque<Message>> mail_;
  std::vector<std::optional<RankEnding>> failures_;
  std::vector<std::optional<RankEnding>> endings_;
  std::vector<bool> returned_;
};

}  // namespace trireme
