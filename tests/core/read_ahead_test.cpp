#include "core/read_ahead.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/rng.h"

namespace trireme::test {
namespace {

using namespace std::chrono_literals;

/// An item of `parts` numbers, each made by a thread.
using Numbers = std::vector<int64_t>;
ItemWork<Numbers> numbers(int64_t item, std::size_t parts) {
  const auto made = std::make_shared<Numbers>(parts);
  return {.parts = parts,
          .do_part = [=](std::size_t part) { (*made)[part] = item * 1000 + static_cast<int64_t>(part); },
          .finish = [=] { return std::move(*made); }};
}
Numbers expected(int64_t item, std::size_t parts) {
  Numbers out(parts);
  std::iota(out.begin(), out.end(), item * 1000);
  return out;
}

/// Parts 0 .. 6 and now and then 40.
std::size_t parts_of(int64_t item) { return static_cast<std::size_t>(item % 9 == 8 ? 40 : item * 5 % 7); }

/// Of a few microseconds, so that threads overtake one another differently in each run.
void dawdle(int64_t seed) { std::this_thread::sleep_for(random_stream(7, "test", seed).uniform_below(60) * 1us); }

TEST(ReadAhead, GivesItemsInOrderWhateverTheThreads) {
  for (const int64_t threads : {1, 2, 7}) {
    for (const int64_t queued : {1, 3, 20}) {
      ReadAhead<Numbers> items([](int64_t item) { return std::optional(numbers(item, parts_of(item))); },
                               {.threads = threads, .queued = queued, .first = 3});
      for (int64_t item = 3; item < 120; ++item) ASSERT_EQ(*items.next(), expected(item, parts_of(item)));
    }
  }
}

TEST(ReadAhead, EachPartIsDoneOnceAndFinishingComesLast) {
  constexpr std::size_t kParts = 50;
  constexpr int64_t kItems = 20;
  std::array<std::atomic<int>, kItems * kParts> done{};
  ReadAhead<int64_t> items(
      [&](int64_t item) -> std::optional<ItemWork<int64_t>> {
        if (item == kItems) return std::nullopt;
        return ItemWork<int64_t>{
            .parts = kParts,
            .do_part = [&, item](std::size_t part) { ++done[static_cast<std::size_t>(item) * kParts + part]; },
            .finish =
                [&, item] {
                  const auto begin = done.begin() + item * static_cast<int64_t>(kParts);
                  return std::accumulate(begin, begin + kParts, int64_t{0});
                }};
      },
      {.threads = 5, .queued = 4});
  for (int64_t item = 0; item < kItems; ++item) EXPECT_EQ(*items.next(), int64_t{kParts});
  EXPECT_EQ(items.next(), std::nullopt);
  EXPECT_EQ(items.next(), std::nullopt);
  EXPECT_TRUE(std::ranges::all_of(done, [](int count) { return count == 1; }));
}

TEST(ReadAhead, AllThreadsWorkOnOneItem) {
  // Each of the three parts waits for the others: one thread could not make it.
  std::atomic<int> begun = 0;
  ReadAhead<int> items(
      [&](int64_t item) -> std::optional<ItemWork<int>> {
        if (item == 1) return std::nullopt;
        return ItemWork<int>{.parts = 3,
                             .do_part =
                                 [&](std::size_t) {
                                   ++begun;
                                   while (begun < 3) std::this_thread::yield();
                                 },
                             .finish = [&] { return begun.load(); }};
      },
      {.threads = 3, .queued = 1});
  EXPECT_EQ(items.next(), 3);
}

TEST(ReadAhead, OpensNoMoreThanWereAskedFor) {
  for (const int64_t queued : {1, 4}) {
    std::atomic<int64_t> opened = 0, taken = 0, most = 0;
    ReadAhead<Numbers> items(
        [&](int64_t item) {
          const int64_t ahead = ++opened - taken;
          int64_t seen = most;
          while (ahead > seen && !most.compare_exchange_weak(seen, ahead)) {
          }
          return std::optional(numbers(item, 2));
        },
        {.threads = 3, .queued = queued});
    while (opened < queued) std::this_thread::yield();  // a taker that is slow
    for (int64_t item = 0; item < 200; ++item) {
      taken = item + 1;  // before it is: an item may be opened as soon as next() has taken one
      items.next();
    }
    EXPECT_EQ(most, queued);
  }
}

TEST(ReadAhead, TheFirstPartThatFailsIsToldAtItsItemsTurn) {
  for (const int64_t threads : {1, 4, 8}) {
    for (int64_t run = 0; run < 30; ++run) {
      const std::set<std::size_t> bad = {11, 12, 30};
      ReadAhead<Numbers> items(
          [&](int64_t item) {
            auto work = numbers(item, 40);
            work.do_part = [&, item, run, inner = std::move(work.do_part)](std::size_t part) {
              dawdle(run * 100 + static_cast<int64_t>(part));
              if (item == 2 && bad.contains(part)) throw std::runtime_error("part " + std::to_string(part));
              if (item == 3) throw std::runtime_error("an item after it");
              inner(part);
            };
            return std::optional(std::move(work));
          },
          {.threads = threads, .queued = 4});
      EXPECT_EQ(*items.next(), expected(0, 40));
      EXPECT_EQ(*items.next(), expected(1, 40));
      for (int again = 0; again < 2; ++again) {
        EXPECT_THAT([&] { items.next(); }, ::testing::ThrowsMessage<std::runtime_error>("part 11"));
      }
    }
  }
}

TEST(ReadAhead, OpeningAndFinishingMayFailToo) {
  const auto failing = [](bool at_open) {
    return ReadAhead<Numbers>(
        [at_open](int64_t item) {
          if (item == 2 && at_open) throw std::runtime_error("opening 2");
          auto work = numbers(item, parts_of(item));
          if (item == 2) work.finish = []() -> Numbers { throw std::runtime_error("finishing 2"); };
          return std::optional(std::move(work));
        },
        {.threads = 3, .queued = 5});
  };
  for (const bool at_open : {true, false}) {
    ReadAhead<Numbers> items = failing(at_open);
    EXPECT_EQ(*items.next(), expected(0, parts_of(0)));
    EXPECT_EQ(*items.next(), expected(1, parts_of(1)));
    EXPECT_THAT([&] { items.next(); },
                ::testing::ThrowsMessage<std::runtime_error>(at_open ? "opening 2" : "finishing 2"));
  }
}

TEST(ReadAhead, NothingIsBegunAfterItsEnd) {
  // Items that would never end: what is under way ends, the other 10^6 parts are not begun.
  std::atomic<int64_t> begun = 0, under_way = 0;
  {
    ReadAhead<int> items(
        [&](int64_t) {
          return std::optional(ItemWork<int>{.parts = 1'000'000,
                                             .do_part =
                                                 [&](std::size_t) {
                                                   ++begun, ++under_way;
                                                   std::this_thread::sleep_for(1ms);
                                                   --under_way;
                                                 },
                                             .finish = [] { return 0; }});
        },
        {.threads = 4, .queued = 2});
    while (begun < 4) std::this_thread::yield();
  }
  EXPECT_EQ(under_way, 0);
  const int64_t at_end = begun;
  EXPECT_LT(at_end, 1'000'000);
  std::this_thread::sleep_for(5ms);
  EXPECT_EQ(begun, at_end);
}

TEST(ReadAhead, CanBeLeftAtAnyMoment) {
  for (int64_t run = 0; run < 100; ++run) {
    ReadAhead<Numbers> items(
        [run](int64_t item) {
          auto work = numbers(item, parts_of(item + run));
          work.do_part = [=, inner = std::move(work.do_part)](std::size_t part) {
            dawdle(run + item);
            if (run % 3 == 0 && item == 4) throw std::runtime_error("item 4");
            inner(part);
          };
          return std::optional(std::move(work));
        },
        {.threads = 1 + run % 6, .queued = 1 + run % 4});
    for (int64_t item = 0; item < run % 4; ++item) ASSERT_EQ(*items.next(), expected(item, parts_of(item + run)));
  }
}

TEST(ReadAhead, WhatAnItemWasMadeOfIsGoneWhenItIsTaken) {
  std::atomic<int64_t> alive = 0;
  struct Counted {
    explicit Counted(std::atomic<int64_t>& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    std::atomic<int64_t>& count_;
  };
  ReadAhead<int64_t> items(
      [&](int64_t item) -> std::optional<ItemWork<int64_t>> {
        if (item == 10) return std::nullopt;
        const auto source = std::make_shared<Counted>(alive);
        return ItemWork<int64_t>{
            .parts = 3, .do_part = [source](std::size_t) {}, .finish = [source, item] { return item; }};
      },
      {.threads = 2, .queued = 3});
  for (int64_t item = 0; item < 10; ++item) EXPECT_EQ(*items.next(), item);
  EXPECT_EQ(items.next(), std::nullopt);
  EXPECT_EQ(alive, 0);
}

TEST(ReadAhead, SaysHowLongItWasWaitedFor) {
  ReadAhead<int> items(
      [](int64_t) {
        return std::optional(ItemWork<int>{.parts = 0, .do_part = {}, .finish = [] {
                                             std::this_thread::sleep_for(2ms);
                                             return 1;
                                           }});
      },
      {.threads = 1, .queued = 1});
  double sum = 0;
  for (int i = 0; i < 3; ++i) {
    items.next();
    sum += items.last_wait_s();
  }
  EXPECT_GT(items.waited_s(), 0);
  EXPECT_DOUBLE_EQ(items.waited_s(), sum);
}

TEST(ReadAhead, GoesOnAfterItIsMoved) {
  ReadAhead<Numbers> first([](int64_t item) { return std::optional(numbers(item, 4)); }, {.threads = 2, .queued = 2});
  EXPECT_EQ(*first.next(), expected(0, 4));
  ReadAhead<Numbers> second = std::move(first);
  EXPECT_EQ(*second.next(), expected(1, 4));
}

}  // namespace
}  // namespace trireme::test
