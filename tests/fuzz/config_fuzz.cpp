#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/config/config.h"
#include "tests/core/config/sample_config.h"
#include "tests/fuzz/mutate.h"

namespace trireme::test {
namespace {

const fuzz::Corpus& corpus() {
  static const fuzz::Corpus kCorpus{
      {R"(%YAML 1.2
--- # a run
name: &name "quoted \u00e9 \x41"
exact: true
seed: -12
rope_mode: oned
tags: [a, 'b''c', *name]
temperatures: {nights: 0.05, "mscoco t2i": 1.0e-05}
tasks:
  nights: &task
    records: nights.jsonl
    weight: 2
  other: *task
extra_tasks:
  - records: a
  - {records: b, weight: ~}
precision: >-
  bfloat16
floor: -.inf
optim:
  peak_lr: 3e-4
  betas: [0.9, 0.95]
  clip_norm: null
)",
       "name: a\nvalidation:\n  records: |\n    a\n    b\noptim: {peak_lr: 1, warmup_steps: 0, total_steps: 1}\n",
       "{name: x, modes: [mrope, oned], out: \"./x\"}\n"},
      {"? ",
       ": ",
       "- ",
       "&a ",
       "*a",
       "!!str ",
       "! ",
       "<<: *name",
       "---\n",
       "...\n",
       "[",
       "]",
       "{",
       "}",
       "|2+\n",
       ">",
       "\"",
       "'",
       "\\u0000",
       "\\x",
       "# ",
       "%TAG ! tag:x,2000:\n",
       "\t",
       "\xef\xbb\xbf",
       "\xc2\x85",
       "\xff\xfe",
       "~",
       "[[[[[[[[[[[[[[[[",
       "{a: {a: {a: {a: ",
       "- - - - - - - - ",
       "name: ",
       "optim:\n  ",
       "\r\n",
       "@",
       "`",
       "1e999"}};
  return kCorpus;
}

TEST(ConfigFuzz, AFileIsReadOrRefused) {
  fuzz::survives_mutation("config_file", corpus(), [](const std::string& input) {
    const auto config = Resolved<SampleConfig>::from(ConfigSource::parse(input, "fuzz.yaml"));
    const std::string text = config.dump();
    TRIREME_ASSERT(Resolved<SampleConfig>::from(ConfigSource::parse(text, "dump.yaml")).dump() == text,
                   "what was read dumps to\n{}", text);
  });
}

TEST(ConfigFuzz, AnOverrideIsReadOrRefused) {
  const fuzz::Corpus overrides{{"name=x", "tags=[a, 'b']", "optim={peak_lr: 1, betas: [0.5]}", "seed=-12",
                                "temperatures.nights=0.05", "tasks={a: {records: r}}", "name=\"a\\u00e9\""},
                               corpus().dictionary};
  fuzz::survives_mutation("config_override", overrides, [](const std::string& input) {
    const std::vector<std::string> given = {input};
    const auto config = Resolved<SampleConfig>::from(ConfigSource::parse("name: a\n", "x.yaml", given));
    TRIREME_ASSERT(!config.dump().empty(), "a config has a dump");
  });
}

}  // namespace
}  // namespace trireme::test
