#include "retrieval/rerank/fusion_config.h"

#include "core/config/config.h"
#include "core/error.h"
#include "core/io/file.h"
#include "core/io/quote.h"

namespace trireme {

void FusionConfig::describe(FieldList& v) {
  v.field("form", form, "alpha: alpha * S_ret + (1 - alpha) * S_rank; weight: S_ret + value * S_rank.");
  v.field("value", value, "alpha, or the weight.").at_least(0);
  v.field("by_row", by_row, "The value of rows that have their own, by the row's id.").at_least(0);
}
static_assert(field_count<FusionConfig>() == 3, "describe() must list every field");

void FittedRow::describe(FieldList& v) {
  v.field("mode", mode, "pointwise, listwise or both.").required();
  v.field("row", row, "Row of the benchmark; all: over all rows.").required();
  v.field("alpha", alpha, "What was found.").between(0, 1);
  v.field("value", value, "The metric there, a fraction.");
  v.field("retriever_value", retriever_value, "The metric of the retriever alone.");
  v.field("queries", queries, "What it was measured on.").at_least(0);
}
static_assert(field_count<FittedRow>() == 6, "describe() must list every field");

void FusionFile::describe(FieldList& v) {
  v.field("format", format, "Kind of file.").one_of({"trireme_fusion"});
  v.field("format_version", format_version, "Version of the format.").one_of({1, 2});
  v.field("modes", modes, "Weights by mode: pointwise, listwise, both.").required();
  v.field("metric", metric, "What was made largest; empty: the values were not fitted.");
  v.field("fitted_on", fitted_on, "Benchmark and split.");
  v.field("model_sha256", model_sha256, "Of the reranker's weights.");
  v.field("adapter_sha256", adapter_sha256, "Of its adapter.");
  v.field("retriever_model_sha256", retriever_model_sha256, "Of the retriever's weights.");
  v.field("retriever_adapter_sha256", retriever_adapter_sha256, "Of its adapter.");
  v.field("fitted", fitted, "How the values were found.");
  v.field("fingerprint", fingerprint, "What the reranker's scores followed from.");
  v.field("retriever_fingerprint", retriever_fingerprint, "What the retriever's followed from.");
}
static_assert(field_count<FusionFile>() == 12, "describe() must list every field");

void FusionConfig::check(Problems& problems) const {
  if (form != FusionForm::kAlpha) return;
  const auto refuse = [&](std::string_view field, double alpha) {
    problems.add(field, fmt::format("must be at most 1 as an alpha; got {}; alpha 1 is the retriever alone", alpha));
  };
  if (value > 1) refuse("value", value);
  for (const auto& [row, alpha] : by_row)
    if (alpha > 1) refuse("by_row", alpha);
}

Fusion FusionConfig::of_row(std::string_view row) const {
  const auto own = by_row.find(std::string(row));
  return {form, own == by_row.end() ? value : own->second};
}

void FusionFile::check(Problems& problems) const {
  const auto names = choice_names(RerankModes{});
  for (const auto& [mode, fusion] : modes) {
    const bool known =
        std::any_of(names.begin(), names.end(), [&, &name = mode](const auto& entry) { return entry.second == name; });
    if (!known)
      problems.add("modes", fmt::format("must be among pointwise, listwise, both; got {}; remove it", shown(mode)));
  }
}

FusionFile read_fusion_file(const std::filesystem::path& file) { return *load_config<FusionFile>(file); }

FusionConfig read_fusion(const std::filesystem::path& file, RerankModes mode) {
  return weights_of_mode(read_fusion_file(file), file, mode);
}

std::string fitted_for_others(const FusionFile& fusion, const std::filesystem::path& file, const Fingerprint& reranker,
                              const Fingerprint& retriever) {
  std::string warning;
  const auto compare = [&](std::string_view whose, const std::map<std::string, std::string>& parts,
                           const std::string& model_sha256, const std::string& adapter_sha256, const Fingerprint& now) {
    Fingerprint then = Fingerprint::from_names(parts);
    if (then.empty() && !model_sha256.empty()) {
      then.set(FingerprintPart::kWeights, model_sha256);
      then.set(FingerprintPart::kAdapterWeights, adapter_sha256.empty() ? "none" : adapter_sha256);
    }
    const auto differing = differing_parts(then, now, kComparableParts);
    if (differing.empty()) return;
    warning += fmt::format("{}{} was fitted for another {}: {}", warning.empty() ? "" : "; ", quote_path(file), whose,
                           difference_of(then, now, differing));
  };
  compare("reranker", fusion.fingerprint, fusion.model_sha256, fusion.adapter_sha256, reranker);
  compare("retriever", fusion.retriever_fingerprint, fusion.retriever_model_sha256, fusion.retriever_adapter_sha256,
          retriever);
  return warning;
}

FusionFile for_another_form(FusionFile fusion) {
  using enum FingerprintPart;
  for (const auto& [part, name] : choice_names(FingerprintPart{}))
    if (part == kWeights || part == kAdapterWeights || part == kAdapterConfiguration)
      fusion.fingerprint.erase(std::string(name));
  fusion.model_sha256.clear();
  fusion.adapter_sha256.clear();
  return fusion;
}

FusionConfig weights_of_mode(const FusionFile& content, const std::filesystem::path& file, RerankModes mode) {
  const std::string name(choice_name(mode));
  const auto found = content.modes.find(name);
  TRIREME_CHECK(found != content.modes.end(), ConfigError, file.string(),
                "the file must have the weight of the mode asked for; got none for {}; fit it, or give the weight.",
                name);
  return found->second;
}

void write_fusion_file(const std::filesystem::path& file, const FusionFile& content) {
  AtomicFile out(file);
  out.write(dump(content));
  out.commit();
}

}  // namespace trireme
