// For tests/peer/prompts_parity.py: one JSON request a line from stdin, the rendered chat as one JSON string a line.
//   {"parts": [{"text": "a"}, {"image": true}], "system": "optional"}     render_chat
//   {"embed": "text", "image": true}                                      render_chat(embedding_turn(..))
//   {"rerank": "pointwise", "spacing": "master", "items": [ITEM, ..]}     the query and what it is compared with, an
//                                                                         ITEM being {"text": "a", "image": true}
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/json.h"
#include "data/prompt/chat.h"
#include "data/prompt/rerank_prompt.h"

using namespace trireme;

namespace {

std::vector<PromptPart> rerank_turn(const nlohmann::json& request) {
  std::vector<RerankItem> items;
  for (const auto& item : request["items"]) {
    items.push_back({item["text"], item["image"].get<bool>() ? std::optional<int64_t>(1) : std::nullopt});
  }
  const RerankSpacing spacing = request["spacing"] == "master" ? RerankSpacing::kMaster : RerankSpacing::kSingleSpace;
  if (request["rerank"] == "pointwise") return pointwise_turn(items.at(0), items.at(1), spacing);
  return listwise_turn(items.at(0), std::span(items).subspan(1), spacing);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = parse_json(line);
    std::vector<PromptPart> turn;
    if (request.contains("embed")) {
      turn = embedding_turn(request["embed"].get<std::string>(), request["image"].get<bool>());
    } else if (request.contains("rerank")) {
      turn = rerank_turn(request);
    } else {
      for (const auto& part : request["parts"])
        turn.push_back(part.contains("image") ? PromptPart::image() : PromptPart::of_text(part["text"]));
    }
    const std::string system = request.value("system", std::string(kQwenSystemPrompt));
    std::cout << nlohmann::json(render_chat(turn, system)) << "\n";
  }
}
