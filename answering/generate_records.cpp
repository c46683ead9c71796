#include "answering/generate_records.h"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "answering/answerer.h"
#include "core/config/field_list.h"
#include "core/distributed/agreement.h"
#include "core/elapsed.h"
#include "core/io/file.h"
#include "core/json.h"
#include "core/rng.h"

namespace trireme {

void GenerateRecordsOptions::describe(FieldList& v) {
  v.field("records", records, "jsonl file of prompts: {id, txt, img_path}; a user turn of the picture and the text.")
      .required()
      .no_effect_on_values();
  v.field("out", out, "jsonl file to write, one line a record; replaced only on success.")
      .required()
      .no_effect_on_values();
  v.field("image_root", image_root, "Folder that image paths are relative to; needed when a record has an image.")
      .no_effect_on_values();
  v.field("follow_links", follow_links, "Pictures may lie behind links that lead out of that folder.")
      .no_effect_on_values();
  v.field("max_new_tokens", max_new_tokens, "A text ends after so many tokens at the latest.").at_least(1);
  v.field("seed", seed, "Of sampling: each record draws from a stream of its own.").at_least(0);
  v.field("keep_special_tokens", keep_special_tokens,
          "Special tokens inside an answer, as <|box_start|>, stay in its text; the end token never does.");
}
static_assert(field_count<GenerateRecordsOptions>() == 7, "describe() must list every field");
namespace {

std::string line_of(const std::string& id, const Answer& answer) {
  const Generation& generation = answer.generation;
  const auto& all = generation.log_probabilities;
  const nlohmann::ordered_json line = {{"id", id},
                                       {"text", answer.text},
                                       {"finish", generation.stopped ? "stop" : "length"},
                                       {"tokens", generation.tokens},
                                       {"log_probability", std::accumulate(all.begin(), all.end(), 0.0)}};
  return dump_json(line) + "\n";
}

/// A rank's lines as text: row, tab, line. JSON holds neither tabs nor line breaks of its own.
std::string as_text(const std::map<int64_t, std::string>& lines) {
  std::string text;
  for (const auto& [row, line] : lines) text += fmt::format("{}\t{}", row, line);
  return text;
}

std::map<int64_t, std::string> from_texts(const std::vector<std::string>& texts) {
  std::map<int64_t, std::string> lines;
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t tab = text.find('\t', begin), end = text.find('\n', tab) + 1;
      lines.emplace(std::stoll(text.substr(begin, tab - begin)), text.substr(tab + 1, end - tab - 1));
      begin = end;
    }
  }
  return lines;
}

}  // namespace

GenerateCounts generate_records(const RecordModelConfig& config, const GenerateRecordsOptions& options,
                                const SamplingConfig& sampling, Communicator& communicator, c10::Device device,
                                const std::function<void(int64_t done, int64_t of)>& progress) {
  // Check everything that can be wrong before a weight is read.
  RecordModel model(config, device);
  const RecordFile records(options.records, {});
  const ImageRoot image_root(options.image_root.value_or(""), options.follow_links);
  model.checkpoint.require_fits(records, image_root);
  GenerateOptions generation;
  generation.sampling = sampling;
  generation.max_new_tokens = options.max_new_tokens;
  generation.stop_tokens = model.checkpoint.stop_tokens();
  std::optional<AtomicFile> out;
  if (communicator.rank() == 0) out.emplace(options.out);
  model.checkpoint.load(communicator, VocabularyHead::kLoad);

  const auto begin = std::chrono::steady_clock::now();
  const Answerer answerer(model.checkpoint.model(), model.checkpoint.tokenizer(),
                          model.checkpoint.image_input(image_root),
                          {.keep_special_tokens = options.keep_special_tokens});
  RecordLoader loader(records, model.prompt, model.loader_options(image_root), communicator.rank(),
                      communicator.size());
  GenerateCounts counts{.records_global = records.size(), .unused = model.checkpoint.weights().unused()};
  std::map<int64_t, std::string> lines;
  while (const auto loaded = loader.next()) {
    std::vector<uint64_t> seeds;
    for (std::size_t i = 0; i < loaded->ids.size(); ++i) {
      const int64_t row = loaded->first_row + static_cast<int64_t>(i);
      seeds.push_back(random_stream(static_cast<uint64_t>(options.seed), "generate.record", row).next_uint64());
    }
    const auto answers = answerer.generate(loaded->batch, seeds, generation);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      lines.emplace(loaded->first_row + static_cast<int64_t>(i), line_of(loaded->ids[i], answers[i]));
      counts.new_tokens += std::ssize(answers[i].generation.tokens);
    }
    counts.records += std::ssize(answers);
    counts.prompt_tokens += loaded->batch.tokens.size(0);
    if (progress) progress(counts.records, loader.records());
  }
  counts.generate_s = seconds_since(begin);
  if (communicator.size() > 1) lines = from_texts(all_gather_string(communicator, as_text(lines)));
  if (out) {
    for (const auto& [row, line] : lines) out->write(line);
    out->commit();
  }
  if (communicator.size() > 1) communicator.barrier();  // the file is there when any rank leaves
  return counts;
}

}  // namespace trireme
