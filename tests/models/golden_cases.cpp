#include "tests/models/golden_cases.h"

#include <algorithm>
#include <set>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "core/io/safetensors.h"
#include "models/weights/hub_checkpoint.h"

namespace trireme::test {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(TRIREME_TEST_DIR) / "golden/checkpoints";

torch::Tensor read(const SafetensorsFile& file, std::string_view name) {
  const SafetensorsEntry* entry = file.find(name);
  return entry == nullptr ? torch::Tensor() : file.tensor(*entry).clone();
}

/// "qwen2_vl_hub.one_image.safetensors" -> checkpoint and case.
std::pair<std::string, std::string> split_name(const fs::path& path) {
  const std::string stem = path.stem();
  const auto dot = stem.find('.');
  return {stem.substr(0, dot), stem.substr(dot + 1)};
}

}  // namespace

fs::path golden_checkpoint_path(const std::string& checkpoint) { return kFolder / checkpoint; }

std::vector<std::string> golden_checkpoints() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder / "cases")) names.insert(split_name(entry.path()).first);
  return {names.begin(), names.end()};
}

std::vector<GoldenCase> golden_cases(const std::string& checkpoint) {
  std::vector<GoldenCase> cases;
  for (const auto& entry : fs::directory_iterator(kFolder / "cases")) {
    const auto [owner, name] = split_name(entry.path());
    if (owner != checkpoint) continue;
    const SafetensorsFile file(entry.path());
    GoldenCase one{checkpoint,
                   name,
                   read(file, "input_ids"),
                   read(file, "position_ids"),
                   read(file, "patches"),
                   read(file, "grid"),
                   read(file, "expected.vision"),
                   read(file, "expected.hidden"),
                   read(file, "expected.embedding"),
                   read(file, "expected.embedding_oned")};
    if (one.patches.defined()) one.patches = one.patches.to(torch::kFloat32);
    cases.push_back(std::move(one));
  }
  std::sort(cases.begin(), cases.end(), [](const GoldenCase& a, const GoldenCase& b) { return a.name < b.name; });
  return cases;
}

Lmm load_golden_model(const std::string& checkpoint, c10::ScalarType dtype) {
  HubCheckpoint files(golden_checkpoint_path(checkpoint));
  return load_model(files, {.dtype = dtype});
}

PackedBatch packed(const std::vector<GoldenCase>& cases, const ModelConfig& config, bool oned) {
  std::vector<torch::Tensor> tokens, positions, patches, grids;
  std::vector<int64_t> cu_seqlens = {0}, rows;
  for (const GoldenCase& one : cases) {
    const int64_t length = one.tokens.size(0);
    tokens.push_back(one.tokens);
    positions.push_back(oned ? at::arange(length).expand({3, length}) : one.position_ids);
    if (one.patches.defined()) patches.push_back(one.patches), grids.push_back(one.grid);
    cu_seqlens.push_back(cu_seqlens.back() + length);
    rows.push_back(cu_seqlens.back() - 1);
  }
  PackedBatch batch;
  batch.tokens = at::cat(tokens);
  batch.position_ids = at::cat(positions, 1).contiguous();
  batch.cu_seqlens = at::tensor(cu_seqlens);
  batch.rows = at::tensor(rows);
  batch.image_rows = at::nonzero(batch.tokens == config.image_token_id).flatten();
  batch.grid = grids.empty() ? at::empty({0, 3}, torch::kInt64) : at::cat(grids);
  if (!patches.empty()) batch.patches = at::cat(patches);
  return batch;
}

torch::Tensor expected_embeddings(const std::vector<GoldenCase>& cases, bool oned) {
  std::vector<torch::Tensor> rows;
  for (const GoldenCase& one : cases) rows.push_back(oned ? one.embedding_oned : one.embedding);
  return at::stack(rows);
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

}  // namespace trireme::test
