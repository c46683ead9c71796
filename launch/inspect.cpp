#include <CLI/CLI.hpp>
#include <iostream>

#include "core/config/field_count.h"
#include "core/error.h"
#include "core/io/embeddings_file.h"
#include "core/shape.h"
#include "data/sources/records.h"
#include "launch/options.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

struct InspectOptions {
  fs::path path;
  template <class V>
  void describe(V& v) {
    v.field("path", path, "Checkpoint or adapter folder, embedding file (.h5), or records (.jsonl).")
        .required()
        .positional();
  }
};
static_assert(field_count<InspectOptions>() == 1, "describe() must list every field");

std::string describe_embeddings(const fs::path& path) {
  const EmbeddingsReader file(path);
  const EmbeddingsInfo& info = file.info();
  return fmt::format(
      "embeddings\n  rows            {}\n  dimensions      {} {}, {}\n  model           {}\n  model sha256    {}\n"
      "  adapter sha256  {}\n  rope mode       {}\n  config sha256   {}\n  first ids       {}\n",
      file.rows(), file.dim(), dtype_name(file.dtype()), info.normalized ? "unit length" : "not normalised", info.model,
      info.model_sha256, info.adapter_sha256.empty() ? "none" : info.adapter_sha256, info.rope_mode, info.config_sha256,
      fmt::join(file.read_ids(0, std::min<int64_t>(file.rows(), 5)), ", "));
}

std::string inspect(const fs::path& path) {
  TRIREME_CHECK(fs::exists(path), DataError, "inspect", "the path must exist; got {}; check it.", path.string());
  if (path.extension() == ".h5") return describe_embeddings(path);
  throw DataError("inspect",
                  fmt::format("path must be a checkpoint or adapter folder, .h5 or .jsonl; got {}; name one of "
                              "these.",
                              path.string()));
}

}  // namespace

VerbAction add_inspect(CLI::App& program) {
  auto options = std::make_shared<InspectOptions>();
  bind_options(*program.add_subcommand("inspect", "What a checkpoint, adapter, embedding or record file holds."),
               *options);
  return [options](const LaunchInfo& launch) {
    if (launch.rank == 0) std::cout << inspect(options->path);
    return 0;
  };
}

}  // namespace trireme
