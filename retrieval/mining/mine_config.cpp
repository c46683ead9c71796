#include "retrieval/mining/mine_config.h"

#include "core/config/field_list.h"

namespace trireme {

void MineSourceConfig::describe(FieldList& v) {
  v.field("root", root, "Folder of the data, in M-BEIR's layout.").required().no_effect_on_values();
  v.field("image_root", image_root, "Folder that image paths are relative to; default: root.").no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of that folder.")
      .no_effect_on_values();
  v.field("queries", queries,
          "Files of training queries; a query that comes again, as upsampled files have it, is "
          "mined once.")
      .required();
  v.field("pool", pool, "The candidate pool that the positives are in.").required();
  v.field("scope", scope, "What a query searches: its task's part of the pool, or all of it.");
  v.field("instructions", instructions, "query_instructions.tsv.");
  v.field("instruction", instruction,
          "fixed: every query is asked with prompt_number; random: with any, by seed; none: without.");
  v.field("prompt_number", prompt_number, "The instruction under fixed, from 1.").at_least(1);
  v.field("seed", seed, "Of the draw under random.").at_least(0);
  v.field("tasks", tasks, "Keep these task ids; empty keeps all.").one_of({0, 1, 2, 3, 4, 6, 7, 8});
  v.field("allow_missing_positives", allow_missing_positives,
          "Positives that the pool lacks are left out and counted, with queries that have no other.");
  v.field("allow_modality_mismatch", allow_modality_mismatch,
          "Records whose modality contradicts what they hold are taken as they are, instructed by what it says.")
      .no_effect_on_values();
}
static_assert(field_count<MineSourceConfig>() == 13, "describe() must list every field");

void MineSourceConfig::check(Problems& problems) const {
  if (!instructions && instruction != InstructionChoice::kNone)
    problems.add("instructions", "must be given; got nothing; name query_instructions.tsv, or set instruction: none");
}

void MineConfig::describe(FieldList& v) {
  v.field("out", out, "HDF5 file to write; replaced only on success. OUT.work beside it keeps what is done so far.")
      .required()
      .no_effect_on_values();
  v.field("embed", embed, "The retriever, and how it embeds.");
  v.field("source", source, "Whose negatives are mined, and where.");
  v.field("depth", depth, "Documents retrieved for each query, gold ones among them.").at_least(1);
  v.field("filters", filters, "What is dropped of them; nothing unless asked for, as LamRA's release does.");
  v.field("store", store, "Embeddings while they wait to be searched.");
  v.field("block_queries", block_queries, "Queries searched at a time, and kept when a killed job goes on.")
      .at_least(1)
      .no_effect_on_values();
  v.field("keep_work", keep_work,
          "Keep OUT.work/ with the embeddings: other filters are then mined without the model's "
          "work.")
      .no_effect_on_values();
  v.field("search", search, "How exact search works.");
}
static_assert(field_count<MineConfig>() == 9, "describe() must list every field");

}  // namespace trireme
