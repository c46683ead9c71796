// For tests/peer/prompts_parity.py: one JSON request a line from stdin, the rendered chat as one JSON string a line.
//   {"parts": [{"text": "a"}, {"image": true}], "system": "optional"}     render_chat
//   {"embed": "text", "image": true}                                      render_chat(embedding_turn(..))
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/prompt/chat.h"

using namespace trireme;

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto request = nlohmann::json::parse(line);
    std::vector<PromptPart> turn;
    if (request.contains("embed")) {
      turn = embedding_turn(request["embed"].get<std::string>(), request["image"].get<bool>());
    } else {
      for (const auto& part : request["parts"])
        turn.push_back(part.contains("image") ? PromptPart::image() : PromptPart::of_text(part["text"]));
    }
    const std::string system = request.value("system", std::string(kQwenSystemPrompt));
    std::cout << nlohmann::json(render_chat(turn, system)) << "\n";
  }
}
