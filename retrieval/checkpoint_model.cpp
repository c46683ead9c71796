#include "retrieval/checkpoint_model.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "core/shape.h"
#include "retrieval/checkpoint_inputs.h"
#include "retrieval/fingerprint_of.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

/// The checkpoint's image preprocessing with the caller's pixel limits.
std::optional<ImageProcessorConfig> limited_image_processor(const CheckpointSource& source, const ModelConfig& model) {
  auto processor = image_processor_of(source.model, model);
  if (!processor) return std::nullopt;
  processor->min_pixels = source.min_pixels.value_or(processor->min_pixels);
  processor->max_pixels = source.max_pixels.value_or(processor->max_pixels);
  TRIREME_CHECK(
      processor->min_pixels <= processor->max_pixels, ConfigError, source.model.string(),
      "min_pixels must be at most max_pixels, each the checkpoint's own where it is not given; got {} and {}; "
      "change one of them.",
      processor->min_pixels, processor->max_pixels);
  return processor;
}

std::optional<Adapter> adapter_of(const CheckpointSource& source, const ModelConfig& model) {
  if (!source.adapter) return std::nullopt;
  return read_adapter(*source.adapter, model);
}

}  // namespace

CheckpointModel::CheckpointModel(CheckpointSource source)
    : source_(std::move(source)),
      checkpoint_(source_.model),
      adapter_(adapter_of(source_, config())),
      image_processor_(limited_image_processor(source_, config())),
      tokenizer_(Tokenizer::from_file(source_.model / "tokenizer.json")),
      encoder_(tokenizer_, config().image_token_id, source_.system_prompt) {}

void CheckpointModel::require_fits(const RecordFile& records, const ImageRoot& image_root) const {
  trireme::require_fits(records, config(), image_root);
}

void CheckpointModel::load(Communicator& communicator, bool head) {
  hash_.emplace(communicator, checkpoint_.weight_files());
  model_.emplace(load_model(checkpoint_, {.dtype = source_.dtype, .device = source_.device, .head = head}));
  if (adapter_) attach_adapter(*model_, *adapter_);
}

PackOptions CheckpointModel::pack_options(RopeMode rope_mode) const {
  PackOptions pack{.rope_mode = rope_mode, .image_token_id = config().image_token_id};
  if (config().vision) pack.merge_size = config().vision->merge_size;
  return pack;
}

const Lmm& CheckpointModel::model() const {
  TRIREME_ASSERT(model_.has_value(), "model() of {} before load()", source_.model.string());
  return *model_;
}

std::vector<std::string> CheckpointModel::unused() const {
  std::vector<std::string> unused = checkpoint_.unused();
  if (adapter_) std::ranges::move(unused_tensors(*adapter_, model().head.weight.defined()), std::back_inserter(unused));
  return unused;
}

std::string CheckpointModel::model_sha256(Communicator& communicator) {
  TRIREME_ASSERT(hash_.has_value(), "model_sha256() of {} before load()", source_.model.string());
  if (!sha256_) sha256_ = hash_->get(communicator);
  return *sha256_;
}

Fingerprint CheckpointModel::fingerprint(Communicator& communicator) {
  Fingerprint fingerprint = folder_fingerprint(source_.model, config(), adapter_ ? &*adapter_ : nullptr);
  fingerprint.set(FingerprintPart::kWeights, model_sha256(communicator));
  fingerprint.set(FingerprintPart::kComputeDtype, std::string(dtype_name(source_.dtype)));
  if (image_processor_) fingerprint.add(picture_fingerprint(*image_processor_));
  return fingerprint;
}

}  // namespace trireme
