#include "core/checkpoint/checkpoint.h"

#include <fstream>

#include <gmock/gmock.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/checkpoint/checkpoint_writer.h"
#include "core/io/file.h"
#include "tests/core/io/disk_full.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

using test::DiskFull;
using test::message_of;
using test::TempFolder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Checkpoint sample(int64_t step) {
  Checkpoint checkpoint;
  checkpoint.step = step;
  checkpoint.weights = {{"lora.a", at::arange(6, at::kFloat).reshape({2, 3}) + step},
                        {"lora.b", at::arange(4, at::kFloat).to(at::kBFloat16)}};
  checkpoint.optimizer = {{"step", at::full({}, step, at::kFloat)}, {"lora.a.exp_avg", at::ones({2, 3})}};
  checkpoint.recipe = "lamra_ret";
  checkpoint.config_yaml = "optim:\n  peak_lr: 0.0001\n";
  checkpoint.seed = ~uint64_t{0};
  checkpoint.base = {"models/tiny", "abc"};
  checkpoint.file_bytes = {{"metrics.jsonl", 4096}};
  checkpoint.counters = {{"best", 0.1}, {"tokens", 1e15 + 1}};
  checkpoint.pinned_steps = {7, 9};
  return checkpoint;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

void flip_byte(const std::filesystem::path& path, int64_t position) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(position);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(position);
  file.put(byte);
}

void expect_equal(const NamedTensors& got, const NamedTensors& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].first, expected[i].first);
    EXPECT_EQ(got[i].second.scalar_type(), expected[i].second.scalar_type());
    EXPECT_TRUE(at::equal(got[i].second, expected[i].second)) << got[i].first;
  }
}

TEST(Checkpoint, ComesBackAsItWas) {
  const TempFolder folder;
  const Checkpoint written = sample(500);
  write_checkpoint(folder.path(), written);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000500"));
  EXPECT_THAT(
      names_in(folder.path() / "step_000500"),
      ElementsAre("config.yaml", "manifest.json", "optimizer.safetensors", "state.json", "weights.safetensors"));
  const Checkpoint read = read_checkpoint(folder.path() / "step_000500");
  expect_equal(read.weights, written.weights);
  expect_equal(read.optimizer, written.optimizer);
  EXPECT_EQ(read.step, 500);
  EXPECT_EQ(read.recipe, written.recipe);
  EXPECT_EQ(read.config_yaml, written.config_yaml);
  EXPECT_EQ(read.seed, written.seed);
  EXPECT_EQ(read.base, written.base);
  EXPECT_EQ(read.file_bytes, written.file_bytes);
  EXPECT_EQ(read.counters, written.counters);
  EXPECT_EQ(read.pinned_steps, written.pinned_steps);
}

TEST(Checkpoint, IsRefusedWithAnyByteFlipped) {
  const TempFolder folder;
  write_checkpoint(folder.path(), sample(1));
  const std::filesystem::path checkpoint = folder.path() / "step_000001";
  for (const std::string& name : names_in(checkpoint)) {
    const auto size = static_cast<int64_t>(std::filesystem::file_size(checkpoint / name));
    ASSERT_GT(size, 0);
    for (int64_t position = 0; position < size; ++position) {
      flip_byte(checkpoint / name, position);
      EXPECT_THAT(message_of<DataError>([&] { read_checkpoint(checkpoint); }), HasSubstr("[checkpoint]"))
          << name << " at " << position;
      flip_byte(checkpoint / name, position);
    }
  }
  EXPECT_EQ(read_checkpoint(checkpoint).step, 1);
}

TEST(Checkpoint, NamesTheFileAndTheBytesThatChanged) {
  const TempFolder folder;
  Checkpoint large = sample(1);
  large.optimizer = {{"m", at::zeros({1 << 19})}};  // 2 MiB
  write_checkpoint(folder.path(), large);
  const std::filesystem::path checkpoint = folder.path() / "step_000001";
  flip_byte(checkpoint / "optimizer.safetensors", 3 << 19);
  EXPECT_THAT(message_of<DataError>([&] { read_checkpoint(checkpoint); }),
              AllOf(HasSubstr("bytes 1048576 to 2097151 of"), HasSubstr("optimizer.safetensors"),
                    HasSubstr("changed or damaged")));
}

TEST(Checkpoint, IsRefusedWhenCutShortOrIncomplete) {
  const TempFolder folder;
  write_checkpoint(folder.path(), sample(1));
  const std::filesystem::path checkpoint = folder.path() / "step_000001";
  std::filesystem::resize_file(checkpoint / "weights.safetensors", 10);
  EXPECT_THAT(message_of<DataError>([&] { read_checkpoint(checkpoint); }),
              AllOf(HasSubstr("weights.safetensors"), HasSubstr("got 10")));
  std::filesystem::remove(checkpoint / "weights.safetensors");
  EXPECT_THAT(message_of<DataError>([&] { read_checkpoint(checkpoint); }),
              AllOf(HasSubstr("weights.safetensors"), HasSubstr("no such file")));
  std::filesystem::remove(checkpoint / "manifest.json");
  EXPECT_THAT(message_of<DataError>([&] { read_checkpoint(checkpoint); }), HasSubstr("manifest.json"));
}

TEST(Checkpoint, TheNewestValidOneIsFoundAndTheOthersAreNamed) {
  const TempFolder folder;
  for (const int64_t step : {1, 2, 3, 10}) write_checkpoint(folder.path(), sample(step));
  flip_byte(folder.path() / "step_000010" / "weights.safetensors", 100);
  std::filesystem::remove(folder.path() / "step_000003" / "state.json");
  folder.write(".step_000011.1.tmp/weights.safetensors", "half");
  folder.write("step_12/weights.safetensors", "not a name of ours");
  const CheckpointSearch search = find_newest_checkpoint(folder.path());
  ASSERT_TRUE(search.newest);
  EXPECT_EQ(search.newest->step, 2);
  EXPECT_EQ(search.folder, folder.path() / "step_000002");
  ASSERT_EQ(search.skipped.size(), 2u);
  EXPECT_EQ(search.skipped[0].folder, folder.path() / "step_000010");
  EXPECT_THAT(search.skipped[0].reason, HasSubstr("weights.safetensors"));
  EXPECT_EQ(search.skipped[1].folder, folder.path() / "step_000003");
  EXPECT_THAT(search.skipped[1].reason, HasSubstr("state.json"));
}

TEST(Checkpoint, NoneIsFoundInNoFolder) {
  const TempFolder folder;
  const CheckpointSearch search = find_newest_checkpoint(folder.path() / "none");
  EXPECT_FALSE(search.newest);
  EXPECT_THAT(search.skipped, IsEmpty());
}

TEST(Checkpoint, ReplacesADamagedOneOfItsStep) {
  const TempFolder folder;
  write_checkpoint(folder.path(), sample(5));
  flip_byte(folder.path() / "step_000005" / "weights.safetensors", 100);
  write_checkpoint(folder.path(), sample(5));
  EXPECT_EQ(read_checkpoint(folder.path() / "step_000005").step, 5);
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000005"));
}

TEST(Checkpoint, OnAFullDiskLeavesTheOldOneAndNothingElse) {
  const TempFolder folder;
  write_checkpoint(folder.path(), sample(1));
  Checkpoint large = sample(2);
  large.optimizer = {{"m", at::zeros({1 << 16})}};
  {
    const DiskFull disk_full(1 << 14);
    EXPECT_THAT(message_of<DataError>([&] { write_checkpoint(folder.path(), large); }),
                HasSubstr("optimizer.safetensors"));
  }
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000001"));
  EXPECT_EQ(find_newest_checkpoint(folder.path()).newest->step, 1);
}

TEST(CheckpointWriter, WritesTheValuesOfTheCall) {
  const TempFolder folder;
  CheckpointWriter writer(folder.path() / "checkpoints", {});
  Checkpoint first = sample(1);
  for (int64_t step = 1; step <= 3; ++step) {
    first.step = step;
    writer.write(first);
    first.weights[0].second.add_(1);  // training goes on
  }
  writer.wait();
  const Checkpoint read = read_checkpoint(folder.path() / "checkpoints" / "step_000003");
  EXPECT_TRUE(at::equal(read.weights[0].second, sample(1).weights[0].second + 2));
}

TEST(CheckpointWriter, KeepsTheLastThoseOfRoundStepsAndThePinned) {
  const TempFolder folder;
  CheckpointWriter writer(folder.path(), {.keep_last = 2, .keep_every = 40});
  for (int64_t step = 10; step <= 100; step += 10) {
    Checkpoint checkpoint = sample(step);
    checkpoint.pinned_steps = {30};
    writer.write(checkpoint);
  }
  writer.wait();
  EXPECT_THAT(names_in(folder.path()),
              ElementsAre("step_000030", "step_000040", "step_000080", "step_000090", "step_000100"));
}

TEST(CheckpointWriter, CountsNoDamagedOneThatIsNewer) {
  const TempFolder folder;
  write_checkpoint(folder.path(), sample(10));
  write_checkpoint(folder.path(), sample(50));  // damaged, say: the run goes on from 10
  CheckpointWriter writer(folder.path(), {.keep_last = 2});
  writer.write(sample(20));
  writer.wait();
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000010", "step_000020", "step_000050"));
}

TEST(CheckpointWriter, RemovesWhatAKilledRunLeftHalfWritten) {
  const TempFolder folder;
  folder.write(".step_000500.17.tmp/weights.safetensors", "half");
  folder.write(".step_000400.17.old/weights.safetensors", "half");
  write_checkpoint(folder.path(), sample(300));
  const CheckpointWriter writer(folder.path(), {});
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000300"));
}

TEST(CheckpointWriter, TellsOfAFullDiskAtTheNextCall) {
  const TempFolder folder;
  CheckpointWriter writer(folder.path(), {});
  writer.write(sample(1));
  writer.wait();
  Checkpoint large = sample(2);
  large.weights = {{"w", at::zeros({1 << 16})}};
  {
    const DiskFull disk_full(1 << 14);
    writer.write(large);
    EXPECT_THAT(message_of<DataError>([&] { writer.wait(); }), HasSubstr("weights.safetensors"));
  }
  writer.wait();
  EXPECT_THAT(names_in(folder.path()), ElementsAre("step_000001"));
}

}  // namespace
}  // namespace trireme
