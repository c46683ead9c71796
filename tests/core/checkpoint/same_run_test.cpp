#include "core/checkpoint/same_run.h"

#include <gmock/gmock.h>

#include "tests/support/expect_error.h"

namespace trireme {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Checkpoint run_with(std::string yaml) {
  Checkpoint run;
  run.recipe = "lamra_ret";
  run.config_yaml = std::move(yaml);
  run.base = {"models/tiny", "0123"};
  return run;
}

const std::string kYaml = "model:\n  path: \"a\"\ntrain:\n  steps: 10\n  batch: 4\noptim:\n  peak_lr: 0.1\n";
const std::string kOther = "model:\n  path: \"a\"\ntrain:\n  steps: 20\n  batch: 4\noptim:\n  peak_lr: 0.2\n";

void check(const Checkpoint& before, const Checkpoint& now, std::vector<std::string> allow = {}) {
  check_same_run(before, "runs/x", now, allow);
}

TEST(SameRun, AcceptsTheSameConfigHoweverItIsWritten) {
  check(run_with(kYaml), run_with(kYaml));
  check(run_with("{x: {b: 2, a: 1}}"), run_with("x:\n  a: 1\n  b: 2\n"));
}

TEST(SameRun, NamesEveryKeyThatDiffersWithBothValues) {
  EXPECT_THAT(message_of<ConfigError>([] { check(run_with(kYaml), run_with(kOther)); }),
              AllOf(HasSubstr("runs/x"), HasSubstr("optim.peak_lr: 0.1 then and 0.2 now"),
                    HasSubstr("train.steps: 10 then and 20 now"),
                    HasSubstr("resume.allow=[optim.peak_lr, train.steps]"), Not(HasSubstr("batch"))));
  EXPECT_THAT(message_of<ConfigError>([] { check(run_with("a: 1"), run_with("a: 1\nb: 2")); }),
              HasSubstr("b: nothing then and 2 now"));
}

TEST(SameRun, AcceptsWhatIsAllowedKeyByKeyOrAsASection) {
  check(run_with(kYaml), run_with(kOther), {"optim.peak_lr", "train.steps"});
  check(run_with(kYaml), run_with(kOther), {"optim", "train"});
  EXPECT_THAT(message_of<ConfigError>([] { check(run_with(kYaml), run_with(kOther), {"train"}); }),
              AllOf(HasSubstr("optim.peak_lr"), Not(HasSubstr("train.steps"))));
}

TEST(SameRun, RefusesAnAllowedKeyThatIsNone) {
  EXPECT_THAT(message_of<ConfigError>([] { check(run_with(kYaml), run_with(kYaml), {"optim.peek_lr"}); }),
              HasSubstr("optim.peek_lr"));
  EXPECT_THAT(message_of<ConfigError>([] { check(run_with(kYaml), run_with(kYaml), {"opti"}); }), HasSubstr("opti"));
}

TEST(SameRun, RefusesAnotherRecipe) {
  Checkpoint other = run_with(kYaml);
  other.recipe = "grip";
  EXPECT_THAT(message_of<ConfigError>([&] { check(run_with(kYaml), other); }),
              AllOf(HasSubstr("recipe grip"), HasSubstr("recipe lamra_ret")));
}

TEST(SameRun, RefusesAnotherBaseModelButNotAnotherPlaceOfIt) {
  Checkpoint moved = run_with(kYaml), other = run_with(kYaml);
  moved.base.path = "elsewhere";
  check(run_with(kYaml), moved);
  other.base.sha256 = "4567";
  EXPECT_THAT(message_of<ConfigError>([&] { check(run_with(kYaml), other); }),
              AllOf(HasSubstr("0123"), HasSubstr("4567")));
}

TEST(SameRun, NamesThePartOfTheBaseThatChanged) {
  Checkpoint before = run_with(kYaml), now = run_with(kYaml);
  now.base.fingerprint.set(FingerprintPart::kTokenizer, "two");
  check(before, now);  // a checkpoint of an older Trireme does not know
  before.base.fingerprint.set(FingerprintPart::kTokenizer, "one");
  EXPECT_THAT(message_of<ConfigError>([&] { check(before, now); }),
              AllOf(HasSubstr("tokenizer one then and tokenizer two now"), HasSubstr("runs/x")));
}

}  // namespace
}  // namespace trireme
