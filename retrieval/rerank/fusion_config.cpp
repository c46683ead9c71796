#include "retrieval/rerank/fusion_config.h"

#include "core/config/config.h"
#include "core/error.h"
#include "core/io/file.h"

namespace trireme {

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
  const FusionFile content = read_fusion_file(file);
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
