#pragma once

#include "data/benchmark/dataset_folder.h"
#include "data/benchmark/task_list.h"
#include "data/preparation/catalogue.h"
#include "data/preparation/queries.h"

namespace trireme {

/// The numbers that the next query ids have.
struct NextQuery {
  int64_t pictograms = 0, stamps = 0;
};

/// query/train, query/train_without_symbola, query/union_train, the train pools, qrels/train, pictures/, pairs/.
NextQuery write_training_files(const Catalogue& catalogue, const PictogramQueries& pictograms,
                               const StampQueries& stamps, DatasetWriter& out);

/// Queries, pools and qrels of val and test, the generalisation tests, and tasks.yaml; returns what tasks.yaml lists.
TaskList write_evaluation_files(const PictogramQueries& pictograms, const StampQueries& stamps, NextQuery next,
                                DatasetWriter& out);

/// instructions/query_instructions.tsv: four for each pair of modalities.
void write_instructions(DatasetWriter& out);

/// NOTICE, and licences/PACKAGE.txt for each source.
void write_licences(const PictogramPackages& packages, DatasetWriter& out);

}  // namespace trireme
