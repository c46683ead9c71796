#include "losses/info_nce.h"

#include <cmath>
#include <set>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include "core/config/config.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/safetensors.h"
#include "tests/losses/info_nce_suite.h"
#include "tests/losses/silent_communicator.h"
#include "tests/support/expect_error.h"

namespace trireme::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

INSTANTIATE_TEST_SUITE_P(Thread, InfoNceTest, ::testing::Values(on_threads(1), on_threads(2), on_threads(4)),
                         [](const auto& instance) { return instance.param.name; });

constexpr std::array kComputes = {ContrastCompute::kGathered, ContrastCompute::kTiled};

// The loss as its header writes it, entry by entry: what both ways of computing it must give.

struct Written {
  const Batch& batch;
  const InfoNceConfig& config;
  int64_t pairs = batch.rows.query.size(0);
  int64_t hard_negatives = batch.rows.hard_negative.defined() ? batch.rows.hard_negative.size(1) : 0;

  static double cosine(const torch::Tensor& a, const torch::Tensor& b, int64_t width) {
    const torch::Tensor x = a.narrow(0, 0, width), y = b.narrow(0, 0, width);
    return (x.dot(y) / x.norm() / y.norm()).item<double>();
  }
  static int64_t at(const torch::Tensor& ids, int64_t i) { return ids.flatten()[i].item<int64_t>(); }

  bool known(int64_t i, int64_t id) const {
    for (int64_t k = at(batch.labels.known_offset, i); k < at(batch.labels.known_offset, i + 1); ++k)
      if (at(batch.labels.known_id, k) == id) return true;
    return false;
  }
  bool excluded(int64_t i, int64_t j, bool hard) const {
    const PairLabels& labels = batch.labels;
    const auto equal_concept = [&](const torch::Tensor& other) {
      return at(labels.concept_id, i) >= 0 && at(labels.concept_id, i) == at(other, j);
    };
    const int64_t id = at(hard ? labels.hard_negative_id : labels.candidate_id, j);
    for (const PairRelation relation : config.exclude) {
      switch (relation) {
        case PairRelation::kSameCandidate:
          if (id == at(labels.candidate_id, i)) return true;
          break;
        case PairRelation::kSameQuery:
          if (!hard && at(labels.query_id, i) == at(labels.query_id, j)) return true;
          break;
        case PairRelation::kKnownPositive:
          if (known(i, id)) return true;
          break;
        case PairRelation::kSameConcept:
          if (equal_concept(hard ? labels.hard_negative_concept : labels.concept_id)) return true;
          break;
      }
    }
    return false;
  }
  /// The logit of a negative, or of none. `frozen` is the batch that the hardness term and the margin see.
  double term(const torch::Tensor& row, const torch::Tensor& column, const torch::Tensor& frozen_row,
              const torch::Tensor& frozen_column, double frozen_positive, double scale, int64_t width) const {
    const double frozen = cosine(frozen_row, frozen_column, width);
    if (config.exclude_margin && frozen > frozen_positive + *config.exclude_margin) return -INFINITY;
    return cosine(row, column, width) * scale + config.hardness * frozen;
  }
  double loss(const ContrastiveRows& rows, double scale) const {
    const ContrastiveRows& frozen = batch.rows;
    const bool symmetric = config.direction == ContrastDirection::kSymmetric;
    const int64_t full = rows.query.size(1);
    std::vector<int64_t> widths = config.matryoshka_dims;
    if (widths.empty()) widths = {full};
    double total = 0;
    for (std::size_t w = 0; w < widths.size(); ++w) {
      const int64_t width = widths[w];
      double sum = 0;
      for (int64_t i = 0; i < pairs; ++i) {
        const double positive = cosine(rows.query[i], rows.candidate[i], width);
        const double frozen_positive = cosine(frozen.query[i], frozen.candidate[i], width);
        double of_query = std::exp(positive * scale), of_candidate = of_query;
        for (int64_t j = 0; j < pairs; ++j) {
          if (j != i && !excluded(i, j, false))
            of_query += std::exp(term(rows.query[i], rows.candidate[j], frozen.query[i], frozen.candidate[j],
                                      frozen_positive, scale, width));
          if (j != i && !excluded(j, i, false))
            of_candidate += std::exp(term(rows.query[j], rows.candidate[i], frozen.query[j], frozen.candidate[i],
                                          frozen_positive, scale, width));
          for (int64_t n = 0; n < hard_negatives; ++n) {
            if (!excluded(i, j * hard_negatives + n, true))
              of_query += std::exp(term(rows.query[i], rows.hard_negative[j][n], frozen.query[i],
                                        frozen.hard_negative[j][n], frozen_positive, scale, width));
          }
        }
        const double forth = std::log(of_query) - positive * scale, back = std::log(of_candidate) - positive * scale;
        sum += symmetric ? (forth + back) / 2 : forth;
      }
      total +=
          sum / static_cast<double>(pairs) * (config.matryoshka_weights.empty() ? 1 : config.matryoshka_weights[w]);
    }
    return total;
  }
};

/// Central differences of Written::loss in every entry of one side.
torch::Tensor numeric_gradient(const Written& written, torch::Tensor ContrastiveRows::*side, double scale) {
  constexpr double kStep = 1e-5;
  const torch::Tensor& x = written.batch.rows.*side;
  torch::Tensor gradient = at::zeros_like(x);
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto at_offset = [&](double offset) {
      ContrastiveRows rows = written.batch.rows;
      rows.*side = x.clone();
      (rows.*side).view(-1)[i] += offset;
      return written.loss(rows, scale);
    };
    gradient.view(-1)[i] = (at_offset(kStep) - at_offset(-kStep)) / (2 * kStep);
  }
  return gradient;
}

TEST(InfoNce, IsWhatItsHeaderWritesAndSoIsItsGradient) {
  for (const int64_t hard_negatives : {0, 2}) {
    const Batch batch = random_batch(4, hard_negatives, 6, torch::kFloat64, 7);
    for (const ConfigCase& item : config_cases()) {
      SCOPED_TRACE(fmt::format("{}, {} hard negatives", item.name, hard_negatives));
      const Written written{batch, item.config};
      const double scale = 1 / item.config.temperature;
      const double loss = written.loss(batch.rows, scale);
      const torch::Tensor query = numeric_gradient(written, &ContrastiveRows::query, scale);
      const torch::Tensor candidate = numeric_gradient(written, &ContrastiveRows::candidate, scale);
      torch::Tensor hard_negative;
      if (hard_negatives > 0) hard_negative = numeric_gradient(written, &ContrastiveRows::hard_negative, scale);
      const double of_log_scale =
          (written.loss(batch.rows, scale * std::exp(1e-5)) - written.loss(batch.rows, scale * std::exp(-1e-5))) / 2e-5;
      for (const ContrastCompute compute : kComputes) {
        InfoNceConfig config = item.config;
        config.compute = compute;
        const Outcome outcome = evaluate_alone(batch, config);
        EXPECT_NEAR(outcome.loss, loss, 1e-12 * std::abs(loss));
        EXPECT_LT(largest_relative_difference(outcome.query, query), 1e-7);
        EXPECT_LT(largest_relative_difference(outcome.candidate, candidate), 1e-7);
        EXPECT_LT(largest_relative_difference(outcome.hard_negative, hard_negative), 1e-7);
        if (config.learn_temperature) {
          EXPECT_NEAR(outcome.log_inverse_temperature, of_log_scale, 1e-7);
        }
      }
    }
  }
}

// What LamRA's released code does (tests/golden/losses/make.py).

TEST(InfoNce, GivesTheLossAndTheGradientsOfLamrasReleasedCodeInBothScales) {
  const SafetensorsFile file(std::filesystem::path(TRIREME_TEST_DIR) / "golden" / "losses" /
                             "lamra_released.safetensors");
  const auto tensor = [&file](const std::string& name) { return file.tensor(*file.find(name)).clone(); };
  constexpr int64_t kRanks = 4, kPairs = 3;
  for (const bool hard : {false, true}) {
    const std::string name = hard ? "hard" : "pairs";
    Batch batch;
    batch.rows = {tensor("query"), tensor("candidate"), {}};
    if (hard) batch.rows.hard_negative = tensor("hard_negative").unsqueeze(1);
    Outcome released{.loss = tensor(name + ".loss").item<double>(),
                     .query = tensor(name + ".query_gradient"),
                     .candidate = tensor(name + ".candidate_gradient")};
    if (hard) released.hard_negative = tensor(name + ".hard_negative_gradient").unsqueeze(1);
    const Outcome exact{.loss = released.loss,
                        .query = released.query * kRanks,
                        .candidate = released.candidate * kRanks,
                        .hard_negative = hard ? released.hard_negative * kRanks : torch::Tensor()};
    for (const ContrastCompute compute : kComputes) {
      for (const GradScale scale : {GradScale::kReleased, GradScale::kExact}) {
        run_ranks(kRanks, [&](Communicator& comm) {
          const InfoNceConfig lamra{.grad_scale = scale, .compute = compute};
          const Share share{comm.rank() * kPairs, kPairs};
          Batch mine;
          mine.rows = {
              batch.rows.query.narrow(0, share.first, kPairs), batch.rows.candidate.narrow(0, share.first, kPairs), {}};
          if (hard) mine.rows.hard_negative = batch.rows.hard_negative.narrow(0, share.first, kPairs);
          const Outcome& expected = scale == GradScale::kReleased ? released : exact;
          Outcome actual = evaluate(mine, lamra, comm);
          EXPECT_LT(largest_relative_difference(actual, part_of(expected, share)), 1e-9) << name;
        });
      }
    }
  }
}

// A collective that does nothing must be seen.

double difference_when_silent(const SilentCalls& silent, ContrastCompute compute) {
  const Batch batch = random_batch(8, 1, 4, torch::kFloat64);
  const InfoNceConfig config{.temperature = 0.2, .compute = compute};
  const Outcome expected = evaluate_alone(batch, config);
  std::array<double, 2> difference{};
  run_ranks(2, [&](Communicator& comm) {
    SilentCommunicator wrapped(comm, silent);
    const Share share{comm.rank() * 4, 4};
    difference[comm.rank()] = largest_relative_difference(evaluate(share_of(batch, share.first, 4), config, wrapped),
                                                          part_of(expected, share));
  });
  return std::max(difference[0], difference[1]);
}

TEST(InfoNce, EqualityToOneRankFailsWhenACollectiveDoesNothing) {
  EXPECT_LT(difference_when_silent({}, ContrastCompute::kGathered), 1e-9);
  EXPECT_LT(difference_when_silent({}, ContrastCompute::kTiled), 1e-9);
  EXPECT_GT(difference_when_silent({.all_gather = true}, ContrastCompute::kGathered), 1e-3);
  EXPECT_GT(difference_when_silent({.reduce_scatter = true}, ContrastCompute::kGathered), 1e-3);
  EXPECT_GT(difference_when_silent({.messages = true}, ContrastCompute::kTiled), 1e-3);
}

// Numbers told beside the loss.

TEST(InfoNceMetrics, AreThoseOfTheScores) {
  // Unit rows in a plane: two pairs that agree, one whose candidate stands nearer to another query.
  Batch batch;
  batch.rows.query = at::tensor({1.0, 0.0, 0.0, 1.0, -1.0, 0.0}, torch::kFloat64).view({3, 2});
  batch.rows.candidate = at::tensor({2.0, 0.0, 0.0, 3.0, 0.6, 0.8}, torch::kFloat64).view({3, 2});
  for (const ContrastCompute compute : kComputes) {
    const std::vector<double> metrics = evaluate_alone(batch, {.compute = compute, .tile_rows = 2}).metrics;
    EXPECT_NEAR(metrics[0], 2.0 / 3, 1e-12);                             // accuracy
    EXPECT_NEAR(metrics[1], (1 + 1 - 0.6) / 3, 1e-12);                   // positives
    EXPECT_NEAR(metrics[2], (0.6 / 2 + 0.8 / 2 + -1.0 / 2) / 3, 1e-12);  // negatives
    EXPECT_NEAR(metrics[3], 0, 1e-12);                                   // excluded
    EXPECT_NEAR(metrics[4], (0 + 0.6 + 0.8) / 3, 1e-12);                 // between candidates
  }
}

TEST(InfoNceMetrics, SeeCollapseAndExclusion) {
  Batch batch = random_batch(6, 2, 4, torch::kFloat32);
  batch.rows.candidate = batch.rows.candidate[0].expand({6, 4}).contiguous();
  batch.labels.candidate_id = at::zeros({6}, torch::kInt64);
  batch.labels.hard_negative_id = at::ones({6, 2}, torch::kInt64);
  for (const ContrastCompute compute : kComputes) {
    const InfoNceConfig config{.compute = compute, .tile_rows = 4, .exclude = {PairRelation::kSameCandidate}};
    const std::vector<double> metrics = evaluate_alone(batch, config).metrics;
    EXPECT_NEAR(metrics[4], 1, 1e-6);
    EXPECT_NEAR(metrics[3], 5, 1e-6);
  }
}

TEST(InfoNce, OfAQueryWithoutNegativesIsZeroAndSoIsItsGradient) {
  Batch batch = random_batch(3, 0, 4, torch::kFloat64);
  batch.labels.candidate_id = at::zeros({3}, torch::kInt64);
  for (const ContrastCompute compute : kComputes) {
    const Outcome outcome = evaluate_alone(batch, {.compute = compute, .exclude = {PairRelation::kSameCandidate}});
    EXPECT_NEAR(outcome.loss, 0, 1e-12);
    EXPECT_LT(outcome.query.abs().max().item<double>(), 1e-12);
    EXPECT_LT(outcome.candidate.abs().max().item<double>(), 1e-12);
  }
}

TEST(InfoNce, TakesSixteenBitRowsInFloat32) {
  const Batch batch = random_batch(5, 1, 4, torch::kBFloat16);
  Batch wide = batch;
  for (torch::Tensor* side : {&wide.rows.query, &wide.rows.candidate, &wide.rows.hard_negative})
    *side = side->to(torch::kFloat32);
  for (const ContrastCompute compute : kComputes) {
    const Outcome actual = evaluate_alone(batch, {.compute = compute}), expected = evaluate_alone(wide, {});
    EXPECT_EQ(actual.query.scalar_type(), torch::kBFloat16);
    EXPECT_NEAR(actual.loss, expected.loss, 1e-5 * expected.loss);
    EXPECT_LT(largest_relative_difference(actual.query, expected.query), 4e-3);
  }
}

TEST(InfoNceOnCuda, EqualsTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a CUDA device";
  for (const int64_t hard_negatives : {0, 2}) {
    const Batch batch = random_batch(11, hard_negatives, 6, torch::kFloat64);
    Batch on_device = batch;
    for (torch::Tensor* side : {&on_device.rows.query, &on_device.rows.candidate, &on_device.rows.hard_negative})
      if (side->defined()) *side = side->to(torch::kCUDA);
    for (const ConfigCase& item : config_cases()) {
      const Outcome expected = evaluate_alone(batch, item.config);
      for (const ContrastCompute compute : kComputes) {
        InfoNceConfig config = item.config;
        config.compute = compute;
        Outcome actual = evaluate_alone(on_device, config);
        for (torch::Tensor* gradient : {&actual.query, &actual.candidate, &actual.hard_negative})
          if (gradient->defined()) *gradient = gradient->cpu();
        EXPECT_LT(largest_relative_difference(actual, expected), 1e-9) << item.name;
      }
    }
  }
}

TEST(InfoNce, CapsALearnedTemperature) {
  const Batch batch = random_batch(5, 0, 4, torch::kFloat64);
  for (const ContrastCompute compute : kComputes) {
    const InfoNceConfig config{.learn_temperature = true, .min_temperature = 0.1, .compute = compute};
    const torch::Tensor below = at::scalar_tensor(std::log(1 / 0.02), torch::kFloat64).requires_grad_();
    SelfCommunicator self;
    const torch::Tensor loss = info_nce(batch.rows, batch.labels, config, self, below).loss;
    loss.backward();
    EXPECT_EQ(below.grad().item<double>(), 0);
    EXPECT_NEAR(loss.item<double>(), evaluate_alone(batch, {.temperature = 0.1}).loss, 1e-12);
  }
}

TEST(InfoNce, StartsALearnedTemperatureAtTheConfigs) {
  const torch::Tensor learned = initial_log_inverse_temperature({.temperature = 0.07, .learn_temperature = true});
  EXPECT_TRUE(learned.requires_grad());
  EXPECT_NEAR(std::exp(learned.item<double>()), 1 / 0.07, 1e-4);
  EXPECT_FALSE(initial_log_inverse_temperature({}).requires_grad());
}

// Refusals.

template <class Change>
std::string refusal_of_shapes(Change change) {
  return message_of<ShapeError>([&] {
    Batch batch = random_batch(4, 2, 3, torch::kFloat32);
    InfoNceConfig config;
    change(batch, config);
    evaluate_alone(batch, config);
  });
}

TEST(InfoNceRefusal, NamesWhatIsWrongWithTheRows) {
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) { b.rows.query = b.rows.query[0]; }),
              AllOf(HasSubstr("query must be [B, D]"), HasSubstr("[3] float32")));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) { b.rows.candidate = b.rows.candidate.narrow(0, 0, 3); }),
              AllOf(HasSubstr("[4, 3] float32"), HasSubstr("[3, 3] float32")));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) { b.rows.candidate = b.rows.candidate.to(torch::kFloat64); }),
              HasSubstr("equal shape, dtype and device"));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) { b.rows.hard_negative = b.rows.hard_negative.narrow(2, 0, 2); }),
              HasSubstr("hard_negative must be [4, N, 3]"));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) {
                b.rows.query = b.rows.query.narrow(0, 0, 0);
                b.rows.candidate = b.rows.candidate.narrow(0, 0, 0);
                b.rows.hard_negative.reset();
              }),
              HasSubstr("at least one row; got none on rank 0"));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, auto&) {
                b.rows.query = b.rows.query.narrow(0, 0, 1);
                b.rows.candidate = b.rows.candidate.narrow(0, 0, 1);
                b.rows.hard_negative.reset();
              }),
              HasSubstr("a query must have a negative"));
}

TEST(InfoNceRefusal, NamesTheLabelsThatAnExclusionNeeds) {
  EXPECT_THAT(refusal_of_shapes([](Batch& b, InfoNceConfig& c) {
                c.exclude = {PairRelation::kSameConcept};
                b.labels.concept_id.reset();
              }),
              AllOf(HasSubstr("concept_id must be [4] int64"), HasSubstr("same_concept"), HasSubstr("undefined")));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, InfoNceConfig& c) {
                c.exclude = {PairRelation::kSameCandidate};
                b.labels.hard_negative_id = b.labels.hard_negative_id.narrow(1, 0, 1);
              }),
              AllOf(HasSubstr("hard_negative_id must be [4, 2] int64"), HasSubstr("[4, 1] int64")));
  EXPECT_THAT(refusal_of_shapes([](Batch& b, InfoNceConfig& c) {
                c.exclude = {PairRelation::kKnownPositive};
                b.labels.known_offset[4] += 1;
              }),
              HasSubstr("known_offset must ascend"));
}

TEST(InfoNceRefusal, NamesTheRankThatDiffers) {
  const Batch batch = random_batch(6, 2, 4, torch::kFloat32);
  const auto refusal = [&](auto change) {
    return message_of<ShapeError>([&] {
      run_ranks(3, [&](Communicator& comm) {
        Batch mine = share_of(batch, comm.rank() * 2, 2);
        if (comm.rank() == 1) change(mine);
        evaluate(mine, {}, comm);
      });
    });
  };
  EXPECT_THAT(refusal([](Batch& b) { b.rows.hard_negative = b.rows.hard_negative.narrow(1, 0, 1).contiguous(); }),
              HasSubstr("hard negatives a query (N); got 2 on rank 0 and 1 on rank 1"));
  EXPECT_THAT(refusal([](Batch& b) {
                for (torch::Tensor* side : {&b.rows.query, &b.rows.candidate, &b.rows.hard_negative})
                  *side = side->narrow(-1, 0, 3);
              }),
              HasSubstr("embedding width (D); got 4 on rank 0 and 3 on rank 1"));
  EXPECT_THAT(refusal([](Batch& b) {
                for (torch::Tensor* side : {&b.rows.query, &b.rows.candidate, &b.rows.hard_negative})
                  *side = side->to(torch::kFloat64);
              }),
              HasSubstr("dtype of the rows; got float32 on rank 0 and float64 on rank 1"));
  EXPECT_THAT(refusal([](Batch& b) { b = share_of(b, 0, 0); }), HasSubstr("got none on rank 1"));
}

TEST(InfoNceRefusal, OfAConfigThatNobodyChecked) {
  const Batch batch = random_batch(4, 0, 3, torch::kFloat32);
  const auto refusal = [&](const InfoNceConfig& config) {
    return message_of<ConfigError>([&] { evaluate_alone(batch, config); });
  };
  EXPECT_THAT(refusal({.temperature = 0}), HasSubstr("temperature must be positive; got 0"));
  EXPECT_THAT(refusal({.temperature = NAN}), HasSubstr("temperature must be positive"));
  EXPECT_THAT(refusal({.hardness = -1}), HasSubstr("hardness must be at least 0; got -1"));
  EXPECT_THAT(refusal({.matryoshka_dims = {2, 4}}), HasSubstr("embedding width, 3; got 4"));
  EXPECT_THAT(message_of<ShapeError>([&] {
                SelfCommunicator self;
                info_nce(batch.rows, batch.labels, {.learn_temperature = true}, self);
              }),
              HasSubstr("log_inverse_temperature must be a 0-dim"));
}

std::string refusal_of_yaml(const std::string& yaml) {
  return message_of<ConfigError>([&] { Resolved<InfoNceConfig>::from(ConfigSource::parse(yaml, "loss.yaml")); });
}

TEST(InfoNceConfigTest, RefusesWhatTheLossWouldAndTellsItsChoices) {
  EXPECT_THAT(refusal_of_yaml("temperature: 0"), AllOf(HasSubstr("temperature"), HasSubstr("positive")));
  EXPECT_THAT(refusal_of_yaml("grad_scale: half"), AllOf(HasSubstr("exact"), HasSubstr("released")));
  EXPECT_THAT(refusal_of_yaml("exclude: [same_id]"), AllOf(HasSubstr("same_candidate"), HasSubstr("known_positive")));
  EXPECT_THAT(refusal_of_yaml("{learn_temperature: true, temperature: 0.005}"), HasSubstr("at least min_temperature"));
  EXPECT_THAT(refusal_of_yaml("matryoshka_dims: [64, 64]"), HasSubstr("different lengths; got [64, 64]"));
  EXPECT_THAT(refusal_of_yaml("{matryoshka_dims: [64], matryoshka_weights: [1, 2]}"), HasSubstr("2 weights and 1"));
}

TEST(InfoNceConfigTest, IsReadFromYaml) {
  const auto config = Resolved<InfoNceConfig>::from(ConfigSource::parse(
      "{direction: symmetric, exclude: [known_positive], exclude_margin: 0.1, compute: tiled}", "loss.yaml"));
  EXPECT_EQ(config->direction, ContrastDirection::kSymmetric);
  EXPECT_EQ(config->exclude, std::vector{PairRelation::kKnownPositive});
  EXPECT_EQ(config->exclude_margin, 0.1);
  EXPECT_EQ(config->compute, ContrastCompute::kTiled);
  EXPECT_EQ(config->temperature, 0.05);
}

}  // namespace
}  // namespace trireme::test
