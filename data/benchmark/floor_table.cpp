#include "data/benchmark/floor_table.h"

#include "core/config/field_list.h"

namespace trireme {

void Floor::describe(FieldList& v) {
  v.field("id", id, "EvalTask::floor, or the id of a table row.").required();
  v.field("label", label, "Name for people.").required();
  v.field("task_id", task_id, "M-BEIR's task id.").one_of({0, 1, 2, 3, 4, 6, 7, 8});
  v.field("queries", queries, "Queries it was measured on; 0 for a mean over tasks.").at_least(0);
  v.field("candidates", candidates, "Candidates of the pool; 0 for a mean over tasks.").at_least(0);
  v.field("recall_at_1", recall_at_1, "Recall@1 in percent.").between(0, 100);
  v.field("recall_at_5", recall_at_5, "Recall@5 in percent.").between(0, 100);
  v.field("recall_at_10", recall_at_10, "Recall@10 in percent.").between(0, 100);
  v.field("recall_at_1_interval", recall_at_1_interval, "95 % interval over the queries.").between(0, 100);
  v.field("recall_at_5_interval", recall_at_5_interval, "95 % interval over the queries.").between(0, 100);
  v.field("note", note, "What the specialist was told beside the query.");
}
static_assert(field_count<Floor>() == 11, "describe() must list every field");

void FloorTable::describe(FieldList& v) {
  v.field("dataset", dataset, "Name of the dataset.").required();
  v.field("method", method, "How the floors were made.").required();
  v.field("floors", floors, "One for each evaluation, and the means of the table rows.").required();
}
static_assert(field_count<FloorTable>() == 3, "describe() must list every field");

}  // namespace trireme
