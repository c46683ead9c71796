#include "losses/info_nce.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include <ATen/ops/full.h>

#include "core/shape.h"
#include "losses/contrast.h"
#include "losses/pair_exclusion.h"
#include "losses/row_layout.h"

namespace trireme {
namespace {

void check_config(const InfoNceConfig& config) {
  TRIREME_CHECK(config.temperature > 0 && std::isfinite(config.temperature), ConfigError, "info_nce",
                "temperature must be positive; got {}; set loss.temperature above 0.", config.temperature);
  TRIREME_CHECK(config.min_temperature > 0, ConfigError, "info_nce",
                "min_temperature must be positive; got {}; set loss.min_temperature above 0.", config.min_temperature);
  TRIREME_CHECK(config.hardness >= 0 && std::isfinite(config.hardness), ConfigError, "info_nce",
                "hardness must be at least 0; got {}; set loss.hardness to 0 or more.", config.hardness);
  TRIREME_CHECK(config.tile_rows >= 1, ConfigError, "info_nce",
                "tile_rows must be at least 1; got {}; set loss.tile_rows to 1024.", config.tile_rows);
  TRIREME_CHECK(config.matryoshka_weights.empty() || config.matryoshka_weights.size() == config.matryoshka_dims.size(),
                ConfigError, "info_nce",
                "matryoshka_weights must have one weight for each of matryoshka_dims; got {} and {}; give as many, or "
                "none.",
                config.matryoshka_weights.size(), config.matryoshka_dims.size());
}

void check_side(std::string_view name, const torch::Tensor& rows, int64_t dims) {
  TRIREME_CHECK(rows.defined() && rows.dim() == dims && rows.is_floating_point(), ShapeError, "info_nce",
                "{} must be {} of a floating dtype; got {}; pass embeddings.", name, dims == 2 ? "[B, D]" : "[B, N, D]",
                shape_string(rows));
}

void check_rows(const ContrastiveRows& rows) {
  check_side("query", rows.query, 2);
  check_side("candidate", rows.candidate, 2);
  const torch::Tensor& q = rows.query;
  const auto same_kind = [&q](const torch::Tensor& other) {
    return other.scalar_type() == q.scalar_type() && other.device() == q.device();
  };
  TRIREME_CHECK(q.sizes() == rows.candidate.sizes() && same_kind(rows.candidate), ShapeError, "info_nce",
                "query and candidate must have equal shape, dtype and device; got {} on {} and {} on {}; give every "
                "query its candidate.",
                shape_string(q), q.device().str(), shape_string(rows.candidate), rows.candidate.device().str());
  TRIREME_CHECK(q.size(1) > 0, ShapeError, "info_nce", "rows must be embeddings; got {}; check the model's width.",
                shape_string(q));
  if (!rows.hard_negative.defined()) return;
  check_side("hard_negative", rows.hard_negative, 3);
  TRIREME_CHECK(rows.hard_negative.size(0) == q.size(0) && rows.hard_negative.size(2) == q.size(1) &&
                    same_kind(rows.hard_negative),
                ShapeError, "info_nce",
                "hard_negative must be [{}, N, {}] of query's dtype and device; got {} on {} beside a query of {}; "
                "give every query N.",
                q.size(0), q.size(1), shape_string(rows.hard_negative), rows.hard_negative.device().str(),
                shape_string(q));
}

/// Widest first.
std::vector<Prefix> prefixes_of(const InfoNceConfig& config, int64_t width) {
  check_widths(config, width);
  if (config.matryoshka_dims.empty()) return {{.width = width}};
  std::vector<Prefix> prefixes;
  for (std::size_t i = 0; i < config.matryoshka_dims.size(); ++i) {
    prefixes.push_back(
        {config.matryoshka_dims[i], config.matryoshka_weights.empty() ? 1.0 : config.matryoshka_weights[i]});
  }
  std::ranges::stable_sort(prefixes, std::ranges::greater{}, &Prefix::width);
  return prefixes;
}

torch::Tensor inverse_temperature(const InfoNceConfig& config, const torch::Tensor& log_inverse,
                                  const torch::TensorOptions& options) {
  if (!config.learn_temperature) {
    TRIREME_CHECK(!log_inverse.defined(), ShapeError, "info_nce",
                  "log_inverse_temperature must be undefined for a fixed temperature; got {}; set "
                  "loss.learn_temperature.",
                  shape_string(log_inverse));
    return at::full({}, 1 / config.temperature, options);
  }
  TRIREME_CHECK(log_inverse.defined() && log_inverse.dim() == 0 && log_inverse.is_floating_point() &&
                    log_inverse.device() == options.device(),
                ShapeError, "info_nce",
                "log_inverse_temperature must be a 0-dim floating tensor on the rows' device, {}; got {}; make it by "
                "initial_log_inverse_temperature.",
                options.device().str(), shape_string(log_inverse));
  return log_inverse.to(options.dtype()).exp().clamp_max(1 / config.min_temperature);
}

/// x in the dtype of the loss; what flows back is multiplied by `factor`.
torch::Tensor prepared(const torch::Tensor& x, double factor) {
  if (!x.defined()) return x;
  const auto dtype = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  const torch::Tensor y = x.to(dtype).contiguous();
  if (factor == 1 || !y.requires_grad()) return y;
  const torch::Tensor alias = y.view_as(y);
  alias.register_hook([factor](const torch::Tensor& gradient) { return gradient * factor; });
  return alias;
}

}  // namespace

InfoNceResult info_nce(const ContrastiveRows& rows, const PairLabels& labels, const InfoNceConfig& config,
                       Communicator& comm, const torch::Tensor& log_inverse_temperature) {
  check_config(config);
  check_rows(rows);
  const bool has_hard_negatives = rows.hard_negative.defined() && rows.hard_negative.size(1) > 0;
  check_labels(labels, config, rows.query.size(0), has_hard_negatives ? rows.hard_negative.size(1) : 0);

  const double factor = config.grad_scale == GradScale::kReleased ? 1.0 / static_cast<double>(comm.size()) : 1.0;
  const ContrastiveRows ready = {prepared(rows.query, factor), prepared(rows.candidate, factor),
                                 has_hard_negatives ? prepared(rows.hard_negative, factor) : torch::Tensor()};
  std::vector<Prefix> prefixes = prefixes_of(config, ready.query.size(1));
  // Before anything that communicates: the backward runs in reverse, so the temperature's gradient is complete only
  // after the last collective of the loss, and a reducer that sends gradients as they come cannot get between.
  const torch::Tensor scale = inverse_temperature(config, log_inverse_temperature, ready.query.options());

  const RowLayout layout = agree_on_layout(rows, labels.known_id.defined() ? labels.known_id.numel() : 0, comm);
  const PairExclusion exclusion(labels, config, layout, ready.query.device(), comm);
  const Contrast contrast{config, layout, exclusion, comm, std::move(prefixes), scale};
  return config.compute == ContrastCompute::kTiled ? tiled_info_nce(ready, contrast)
                                                   : gathered_info_nce(ready, contrast);
}

void check_widths(const InfoNceConfig& config, int64_t embedding_width) {
  for (const int64_t dims : config.matryoshka_dims) {
    TRIREME_CHECK(dims >= 1 && dims <= embedding_width, ConfigError, "info_nce",
                  "matryoshka_dims must be between 1 and the embedding width, {}; got {}; correct "
                  "loss.matryoshka_dims.",
                  embedding_width, dims);
  }
}

torch::Tensor initial_log_inverse_temperature(const InfoNceConfig& config) {
  check_config(config);
  return at::full({}, -std::log(config.temperature), torch::kFloat32).set_requires_grad(config.learn_temperature);
}

}  // namespace trireme
