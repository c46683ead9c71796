// Scores lists of candidates with the reranker alone, for tests/peer/rerank_bench.py.
//
//   rerank_scoring score --model DIR --lists FILE [--dtype bfloat16] [--threads N] [--alone]
//
// FILE has lines {"query": {id, txt, img_path}, "candidates": [{..}]}; images lie beside it. Loads, says so in a line
// of JSON on stdout, then scores all lists pointwise, each by itself, once for every line on stdin and answers with a
// line: seconds, reading and tokenising included, what was computed, the scores. --alone: prefixes are not shared.
#include <chrono>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include <ATen/Parallel.h>

#include "core/elapsed.h"
#include "core/error.h"
#include "core/json.h"
#include "launch/cpu_settings.h"
#include "launch/options.h"
#include "models/weights/hub_checkpoint.h"
#include "retrieval/rerank/scorer.h"

namespace trireme {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct Options {
  std::filesystem::path model, lists;
  std::string dtype = "float32";
  int64_t threads = 2;
  bool alone = false;

  void describe(FieldList& v) {
    v.field("model", model, "Hugging Face folder of the model.").required();
    v.field("lists", lists, "Queries with their candidates, as lines of JSON.").required();
    v.field("dtype", dtype, "Of the model's products.");
    v.field("threads", threads, "Of libtorch.").positive();
    v.field("alone", alone, "Prefixes are not shared.");
  }
};

std::string text_or_none(const json& record, const char* key) {
  const auto found = record.find(key);
  return found == record.end() || found->is_null() ? "" : found->get<std::string>();
}

Record record_of(const json& line) {
  return {line.at("id"), text_or_none(line, "txt"), text_or_none(line, "img_path")};
}

std::vector<RerankQuery> read_lists(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<RerankQuery> lists;
  for (std::string line; std::getline(file, line);) {
    const json parsed = parse_json(line);
    RerankQuery list{record_of(parsed.at("query")), {}};
    for (const json& candidate : parsed.at("candidates")) list.candidates.push_back(record_of(candidate));
    lists.push_back(std::move(list));
  }
  return lists;
}

void answer(const RerankScorer& scorer, const std::vector<RerankQuery>& lists) {
  const auto begin = Clock::now();
  PromptCounts counts;
  std::vector<double> scores;
  for (const RerankQuery& list : lists) {
    const RerankResult result = scorer.score(std::span(&list, 1), RerankModes::kPointwise);
    counts += result.counts;
    const auto& own = result.scores.front().pointwise;
    scores.insert(scores.end(), own.begin(), own.end());
  }
  const nlohmann::ordered_json line = {{"seconds", seconds_since(begin)},
                                       {"prompt_tokens", counts.prompt_tokens},
                                       {"computed_tokens", counts.computed_tokens},
                                       {"prefix_tokens", counts.prefix_tokens},
                                       {"images", counts.images},
                                       {"encoded_images", counts.encoded_images},
                                       {"scores", scores}};
  std::cout << dump_json(line) << std::endl;
}

int run(int argc, char** argv) {
  Options options;
  Program program{.name = "rerank_scoring", .purpose = "The reranker by itself."};
  program.add("score", "Scores lists of candidates.", options);
  const CommandLine command = parse_command_line(program, {argv + 1, static_cast<std::size_t>(argc - 1)});
  std::cout << command.text;
  if (command.verb.empty()) return 0;
  const auto begin = Clock::now();
  at::set_num_threads(static_cast<int>(options.threads));
  HubCheckpoint files(options.model);
  const Tokenizer tokenizer = Tokenizer::from_file(options.model / "tokenizer.json");
  const ChatEncoder encoder(tokenizer, files.config().image_token_id, std::string(kQwenSystemPrompt));
  const RerankPrompt prompt(tokenizer, encoder, {});
  ImageInput input{.image_root = options.lists.parent_path(),
                   .image_processor = {},
                   .alpha = AlphaMode::kWhite,
                   .pack = {.rope_mode = RopeMode::kMrope, .image_token_id = files.config().image_token_id}};
  if (files.config().vision) input.image_processor = read_image_processor_config(options.model);
  const auto dtype = options.dtype == "bfloat16" ? torch::kBFloat16 : torch::kFloat32;
  const Lmm model = load_model(files, {.dtype = dtype, .head = true});
  const RerankScorerConfig config{.share_prefix = !options.alone};
  const RerankScorer scorer(Answerer(model, tokenizer, std::move(input), config.answerer_options()), prompt, config);
  const std::vector<RerankQuery> lists = read_lists(options.lists);
  std::cout << dump_json(json{{"load_s", seconds_since(begin)}}) << std::endl;
  for (std::string line; std::getline(std::cin, line);) answer(scorer, lists);
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  try {
    return trireme::run(argc, argv);
  } catch (const trireme::Error& error) {
    std::cerr << "error: " << error.what() << std::endl;
    return error.exit_code();
  }
}
