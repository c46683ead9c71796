#include "trainers/run_config.h"

#include "core/config/field_list.h"

namespace trireme {

void RunConfig::describe_first(FieldList& v, std::string_view name, std::string_view seeded) {
  v.spreads(*this);
  v.field("recipe", recipe, "What `trireme train` runs.").required().one_of({std::string(name)});
  v.field("run_dir", run_dir, "Folder of the run: made if missing, gone on with if it holds this run.")
      .required()
      .no_effect_on_values();
  v.field("seed", seed, std::string(seeded) + " follow from it.").at_least(0);
}

void RunConfig::describe_length(FieldList& v) {
  v.field("optim", optim, "Optimiser.");
  v.field("schedule", schedule, "Learning rate over the run.");
  v.field("train", train, "How long.");
}

void RunConfig::describe_last(FieldList& v) {
  v.field("checkpoint", checkpoint, "What is kept to go on from.");
  v.field("guard", guard, "When a run ends that goes wrong.");
  v.field("resume", resume, "What may change when a run goes on.");
}
static_assert(field_count<RunConfig>() == 9, "the three parts of describe() must list every field");

}  // namespace trireme
