#include "core/distributed/thread_group.h"

#include <algorithm>
#include <cstring>

#include "core/distributed/local_collective.h"

namespace trireme {
namespace {

bool is_known(const std::optional<RankEnding>& ending) { return ending.has_value(); }

}  // namespace

ThreadGroup::ThreadGroup(int64_t ranks, std::chrono::milliseconds grace)
    : ranks_(ranks), grace_(grace), failures_(ranks), endings_(ranks), returned_(ranks, false) {}

ThreadGroup::Meeting& ThreadGroup::meeting(uint64_t sequence) {
  Meeting& found = meetings_[sequence];
  found.calls.resize(ranks_);
  return found;
}

void ThreadGroup::arrive(int64_t rank, uint64_t sequence, const Collective& call) {
  const std::lock_guard lock(mutex_);
  Meeting& here = meeting(sequence);
  for (int64_t other = 0; other < ranks_; ++other) {
    const std::optional<Collective>& theirs = here.calls[other];
    if (!theirs || here.mismatch || fit_together(*theirs, call)) continue;
    here.mismatch = other < rank ? mismatch_error(other, theirs->entry, rank, call.entry)
                                 : mismatch_error(rank, call.entry, other, theirs->entry);
  }
  here.calls[rank] = call;
  if (++here.arrived == ranks_ && !here.mismatch && !here.given_up_by) {
    std::vector<Collective> calls;
    for (std::optional<Collective>& each : here.calls) calls.push_back(*std::move(each));
    execute_locally(calls);
    here.calls.clear();  // the tensors are the ranks' own again
    here.done = true;
  }
  changed_.notify_all();
}

void ThreadGroup::wait_for_all(int64_t rank, uint64_t sequence, const LedgerEntry& entry,
                               std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  Meeting& here = meetings_.at(sequence);
  const auto cannot_be = [&] {
    return here.given_up_by ? here.arrived == ranks_ : !returned_of(missing_ranks(here)).empty();
  };
  const bool ended =
      changed_.wait_for(lock, timeout, [&] { return here.done || here.mismatch || failed_peer(rank) || cannot_be(); });
  if (here.done) {
    if (++here.left == ranks_) meetings_.erase(sequence);
    return;
  }
  if (here.mismatch) throw *here.mismatch;
  throw_if_peer_failed(rank);
  if (ended && here.given_up_by) throw PeerFailed(*here.given_up_by, DistError::kExitCode);
  const std::vector<int64_t> missing = missing_ranks(here);
  if (!here.given_up_by) here.given_up_by = rank;
  if (!ended) throw timeout_error(entry, rank, timeout, missing);
  throw DistError("dist", fmt::format("every rank must enter {}; got rank {} waiting and {} returned without it; look "
                                      "for a branch that depends on a rank's data.",
                                      entry.text(), rank, ranks_text(returned_of(missing))));
}

void ThreadGroup::send(int64_t from, const Collective& call) {
  const auto* begin = static_cast<const std::byte*>(call.input.const_data_ptr());
  Message message{call.entry, {begin, begin + call.input.nbytes()}};
  const std::lock_guard lock(mutex_);
  mail_[{from, call.peer}].push_back(std::move(message));
  changed_.notify_all();
}

void ThreadGroup::receive(int64_t to, std::size_t index, const Collective& call, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::deque<Message>& box = mail_[{call.peer, to}];
  changed_.wait_for(lock, timeout, [&] { return box.size() > index || failed_peer(to) || returned_[call.peer]; });
  if (box.size() <= index) {
    throw_if_peer_failed(to);
    throw timeout_error(call.entry, to, timeout, std::vector{call.peer});
  }
  const Message& message = box[index];
  if (message.entry.count != call.entry.count || message.entry.dtype != call.entry.dtype) {
    throw mismatch_error(call.peer, message.entry, to, call.entry);
  }
  if (!message.content.empty()) std::memcpy(call.output.data_ptr(), message.content.data(), message.content.size());
}

void ThreadGroup::check_peers(int64_t rank) {
  const std::lock_guard lock(mutex_);
  throw_if_peer_failed(rank);
}

void ThreadGroup::announce_failure(int64_t rank, const RankEnding& ending) {
  const std::lock_guard lock(mutex_);
  failures_[rank] = ending;
  changed_.notify_all();
}

void ThreadGroup::set_returned(int64_t rank) {
  const std::lock_guard lock(mutex_);
  returned_[rank] = true;
  changed_.notify_all();
}

std::vector<std::optional<RankEnding>> ThreadGroup::gather_endings(int64_t rank, const RankEnding& mine,
                                                                   std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  endings_[rank] = mine;
  changed_.notify_all();
  const auto complete = [this] { return std::ranges::all_of(endings_, is_known); };
  const auto deadline = std::chrono::steady_clock::now() + patience;
  changed_.wait_until(lock, deadline, [&] { return complete() || std::ranges::any_of(failures_, is_known); });
  changed_.wait_until(lock, std::min(deadline, std::chrono::steady_clock::now() + grace_), complete);
  std::vector<std::optional<RankEnding>> known = endings_;
  for (int64_t other = 0; other < ranks_; ++other) {
    if (failures_[other]) known[other] = failures_[other];
  }
  return known;
}

std::vector<int64_t> ThreadGroup::missing_ranks(const Meeting& meeting) const {
  std::vector<int64_t> missing;
  for (int64_t rank = 0; rank < std::ssize(meeting.calls); ++rank) {
    if (!meeting.calls[rank]) missing.push_back(rank);
  }
  return missing;
}

std::vector<int64_t> ThreadGroup::returned_of(std::vector<int64_t> ranks) const {
  std::erase_if(ranks, [this](int64_t rank) { return !returned_[rank]; });
  return ranks;
}

std::optional<int64_t> ThreadGroup::failed_peer(int64_t rank) const {
  for (int64_t other = 0; other < ranks_; ++other) {
    if (other != rank && failures_[other]) return other;
  }
  return std::nullopt;
}

void ThreadGroup::throw_if_peer_failed(int64_t rank) const {
  if (const auto failed = failed_peer(rank)) throw PeerFailed(*failed, failures_[*failed]->exit_code);
}

}  // namespace trireme
