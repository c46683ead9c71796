#include "evaluation/eval_config.h"

#include "core/config/field_list.h"

namespace trireme {

void EvalConfig::describe(FieldList& v) {
  v.field("out", out, "Folder for results.json, gallery.json and report.html; made if missing.")
      .required()
      .no_effect_on_values();
  v.field("label", label, "What tables call the model; default: the name of `out`.").no_effect_on_values();
  v.field("embed", embed, "Which weights embed, and how.");
  v.field("benchmark", benchmark, "What is evaluated.");
  v.field("queries", queries, "How queries are asked, and what they search.");
  v.field("metrics", metrics, "What is computed from the ranked lists.");
  v.field("gallery", gallery, "What the report shows of each task.").no_effect_on_values();
  v.field("embeddings", embeddings,
          "Folder that keeps the embeddings as HDF5 files, searched from there: pools larger than memory. Files of "
          "the same weights, records and options are used again. Default: in memory.")
      .no_effect_on_values();
  v.field("store", store, "Embeddings in those files.");
  v.field("on_error", on_error,
          "What happens when a record cannot be embedded. skip: it is left out of queries and pools, counted and "
          "listed; a relevant document among them counts as not found.")
      .no_effect_on_values();
  v.field("rerank", rerank, "Columns with the lists reranked beside the retriever's own.");
  v.field("floors", floors, "Table of floors to stand beside the results.").no_effect_on_values();
  v.field("published", published, "Table of published numbers to stand beside the results.").no_effect_on_values();
}
static_assert(field_count<EvalConfig>() == 13, "describe() must list every field");

void EvalConfig::check(Problems& problems) const {
  if (rerank && std::max(rerank->depth, rerank->listwise_depth) > metrics.depth)
    problems.add("rerank", fmt::format("must not go deeper than metrics.depth; got {} and {}; lower it",
                                       std::max(rerank->depth, rerank->listwise_depth), metrics.depth));
  if (rerank && rerank->fit && rerank->fit->split == benchmark.split)
    problems.add("rerank", fmt::format("must be fitted on other queries than those that are reported; got "
                                       "rerank.fit.split {} twice; take val for one",
                                       benchmark.split));
}

}  // namespace trireme
