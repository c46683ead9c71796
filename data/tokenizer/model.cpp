#include "data/tokenizer/model.h"

#include "data/tokenizer/bpe.h"

namespace trireme {
namespace {

constexpr std::array<BuiltIn<TokenizerModel>, 1> kBuiltIn{{{"BPE", make_bpe}}};

}  // namespace

std::unique_ptr<const TokenizerModel> make_tokenizer_model(const Component& component) {
  // Files older than the field, GPT-2's among them: only BPE has merges.
  if (!component.member("type") && component.member("merges")) return make_bpe(component);
  return make_component(component, kBuiltIn);
}

}  // namespace trireme
