#include "answering/generate_records.h"
#include "answering/model_inputs.h"
#include "launch/job.h"
#include "launch/options.h"
#include "launch/phase_progress.h"
#include "launch/verbs.h"

namespace trireme {
namespace {

/// A user turn of picture and text stands alone, without the question that embeddings are asked with.
RecordModelConfig chat_model() {
  RecordModelConfig config;
  config.prompt = PromptForm::kChat;
  return config;
}

struct GenerateVerb {
  RecordModelConfig model = chat_model();
  GenerateRecordsOptions records;
  SamplingConfig sampling;
  JobOptions job;
  DeviceOptions device;
};

int generate(const GenerateVerb& verb, Job& job) {
  PhaseProgress progress(job);
  const GenerateCounts counts =
      generate_records(verb.model, verb.records, verb.sampling, job.communicator, job.device,
                       [&](int64_t done, int64_t of) { progress.show("generate", "records", done, of); });
  progress.finish();
  log_unused(counts.unused, job.log);
  job.log.info("{} records; this rank: {} prompt tokens, {} new ones in {:.1f} s, {:.0f} new tokens/s; wrote {}",
               counts.records_global, counts.prompt_tokens, counts.new_tokens, counts.generate_s,
               static_cast<double>(counts.new_tokens) / counts.generate_s, verb.records.out.string());
  return 0;
}

}  // namespace

VerbAction add_generate(Program& program) {
  auto verb = std::make_shared<GenerateVerb>();
  program.add("generate", "Records continued by a model, as lines of JSON.", verb->model, verb->records, verb->sampling,
              verb->job, verb->device);
  return [verb](const LaunchInfo& launch) {
    return run_job(
        launch, verb->job, [verb](Job& job) { return generate(*verb, job); }, verb->device.device);
  };
}

}  // namespace trireme
