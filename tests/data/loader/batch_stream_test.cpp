#include "data/loader/batch_stream.h"

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using namespace std::chrono_literals;
using test::message_of;

/// Conversations instead of pairs: a sampler of its own kind is all that a stream asks for.
struct Conversation {
  int64_t step, row;
};
struct ConversationShare {
  int64_t step, clashes;
  std::vector<int64_t> global_rows;
};
class ConversationSampler {
 public:
  using Row = Conversation;
  explicit ConversationSampler(bool skips) : skips_(skips) {}

  ConversationShare share(int64_t step) const {
    ConversationShare share{step, step % 3, {}};
    for (int64_t row = 0; row < 5 + step % 4; ++row) share.global_rows.push_back(2 * row);
    return share;
  }
  std::vector<SkippedPair> read(const ConversationShare& share, std::size_t row,
                                const std::function<void(Row)>& take) const {
    const int64_t global_row = share.global_rows[row];
    try {
      take({share.step, global_row});
      return {};
    } catch (const DataError& error) {
      if (!skips_) throw;
      take({share.step, global_row + 1});
      return {{global_row, "conversation", error.what(), "its neighbour"}};
    }
  }

 private:
  bool skips_;
};

struct ConversationBatch : StepBatch {
  std::vector<int64_t> lengths;
};

/// Rows take a while each, so that threads overtake one another; rows 4 and 8 of every fifth step cannot be read.
int64_t encode(Conversation row) {
  std::this_thread::sleep_for(random_stream(3, "test", row.step, row.row).uniform_below(80) * 1us);
  TRIREME_CHECK(row.step % 5 != 4 || row.row % 4 != 0 || row.row == 0, DataError, "test",
                "must be readable; got row {}; do", row.row);
  return row.step * 100 + row.row;
}

BatchStream<ConversationBatch> conversations(bool skips, const ReadAheadOptions& options) {
  return {std::make_shared<const ConversationSampler>(skips), encode,
          [](std::vector<int64_t> rows, const ConversationShare& share) {
            EXPECT_EQ(rows.size(), share.global_rows.size());
            ConversationBatch batch;
            batch.lengths = std::move(rows);
            return batch;
          },
          options};
}

TEST(BatchStream, ABatchIsAFunctionOfItsStep) {
  for (const int64_t threads : {1, 2, 8}) {
    auto batches = conversations(true, {.threads = threads, .queued = 1 + threads % 3, .first = 2});
    for (int64_t step = 2; step < 40; ++step) {
      if (step % 10 == 0) std::this_thread::sleep_for(3ms);  // a taker that is slow
      const ConversationBatch batch = batches.next();
      EXPECT_EQ(batch.step, step);
      EXPECT_EQ(batch.clashes_global, step % 3);
      EXPECT_GE(batch.waited_s, 0);
      const bool bad = step % 5 == 4;
      ASSERT_EQ(std::ssize(batch.lengths), 5 + step % 4);
      for (int64_t i = 0; i < std::ssize(batch.lengths); ++i) {
        const bool replaced = bad && i > 0 && i % 2 == 0;
        EXPECT_EQ(batch.lengths[static_cast<std::size_t>(i)], step * 100 + 2 * i + int64_t{replaced});
      }
      ASSERT_EQ(std::ssize(batch.skipped), bad ? (std::ssize(batch.lengths) - 1) / 2 : 0);
      for (std::size_t i = 0; i < batch.skipped.size(); ++i)  // in order of their rows, whoever came first
        EXPECT_EQ(batch.skipped[i].global_row, 4 * static_cast<int64_t>(i + 1));
    }
    EXPECT_GT(batches.waited_s(), 0);
  }
}

TEST(BatchStream, StopsAtTheFirstBadRowOfItsStep) {
  for (const int64_t threads : {1, 3, 8}) {
    for (int run = 0; run < 10; ++run) {
      auto batches = conversations(false, {.threads = threads, .queued = 4});
      int64_t step = 0;
      const std::string message = message_of<DataError>([&] {
        for (;; ++step) batches.next();
      });
      EXPECT_EQ(step, 4);
      EXPECT_THAT(message, ::testing::HasSubstr("got row 4;"));
    }
  }
}

TEST(BatchStream, CanBeLeftAtAnyMoment) {
  for (int64_t run = 0; run < 60; ++run) {
    auto batches = conversations(run % 2 == 0, {.threads = 1 + run % 6, .queued = 1 + run % 4, .first = run % 5});
    for (int64_t i = 0; i < run % 3 && run % 5 + i < 4; ++i) EXPECT_EQ(batches.next().step, run % 5 + i);
  }
}

}  // namespace
}  // namespace trireme
