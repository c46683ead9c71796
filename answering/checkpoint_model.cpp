#include "answering/checkpoint_model.h"

#include "answering/fingerprint_of.h"
#include "core/config/choice.h"
#include "core/error.h"
#include "core/shape.h"
#include "models/json_object.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

ModelInputs limited_inputs(const fs::path& folder, const ModelConfig& shape, const InputConfig& input) {
  ModelInputs inputs(folder, shape);
  inputs.image_processor = with_pixel_limits(std::move(inputs.image_processor), input, folder.string());
  return inputs;
}

/// eos_token_id of a settings file: a number, a list, or nothing.
std::vector<int64_t> stop_tokens_in(const fs::path& file) {
  if (!fs::exists(file)) return {};
  constexpr std::string_view kKey = "eos_token_id";
  const JsonObject json = JsonObject::read(file);
  if (json.is_array(kKey)) return json.get<std::vector<int64_t>>(kKey);
  const auto one = json.find<int64_t>(kKey);
  return one ? std::vector<int64_t>{*one} : std::vector<int64_t>{};
}

}  // namespace

CheckpointModel::CheckpointModel(const CheckpointSource& source, const InputConfig& input, c10::Device device)
    : source_(source),
      input_(input),
      device_(device),
      weights_(source_),
      inputs_(limited_inputs(source_.path, weights_.config(), input_)),
      encoder_(inputs_.tokenizer, config().image_token_id, input_.system_prompt) {}

void CheckpointModel::load(Communicator& communicator, VocabularyHead head) {
  model_.emplace(weights_.load(communicator, {.device = device_, .head = head == VocabularyHead::kLoad}));
}

ImageInput CheckpointModel::image_input(const ImageRoot& image_root) const {
  return {image_root, inputs_.image_processor, input_.alpha, pack_options(input_, inputs_.model_input())};
}

std::vector<int64_t> CheckpointModel::stop_tokens() const {
  for (const char* file : {"generation_config.json", "config.json"}) {
    std::vector<int64_t> tokens = stop_tokens_in(source_.path / file);
    if (!tokens.empty()) return tokens;
  }
  return {tokenizer().token_to_id("<|im_end|>").value()};
}

const Lmm& CheckpointModel::model() const {
  TRIREME_ASSERT(model_.has_value(), "model() of {} before load()", source_.path.string());
  return *model_;
}

Fingerprint CheckpointModel::fingerprint(Communicator& communicator) {
  using enum FingerprintPart;
  Fingerprint fingerprint = weights_.fingerprint(communicator);
  fingerprint.set(kComputeDtype, std::string(dtype_name(torch_dtype(source_.dtype))));
  fingerprint.set_hash_of(kSystemPrompt, input_.system_prompt);
  fingerprint.set(kRopeMode, std::string(choice_name(input_.rope_mode)));
  if (!inputs_.image_processor) return fingerprint;
  fingerprint.add(image_fingerprint(*inputs_.image_processor));
  fingerprint.set(kAlpha, std::string(choice_name(input_.alpha)));
  return fingerprint;
}

}  // namespace trireme
