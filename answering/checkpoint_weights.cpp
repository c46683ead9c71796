#include "answering/checkpoint_weights.h"

#include <iterator>

#include "answering/fingerprint_of.h"

namespace trireme {

CheckpointWeights::CheckpointWeights(CheckpointSource source) : source_(std::move(source)), files_(source_.path) {
  if (source_.adapter) adapter_ = read_adapter(*source_.adapter, config());
}

Lmm CheckpointWeights::load(Communicator& communicator, LoadOptions options) {
  options.dtype = torch_dtype(source_.dtype);
  hash_.emplace(communicator, files_.weight_files());
  Lmm model = load_model(files_, options);
  if (adapter_) attach_adapter(model, *adapter_);
  has_head_ = model.head.weight.defined();
  return model;
}

std::vector<std::string> CheckpointWeights::unused() const {
  std::vector<std::string> unused = files_.unused();
  if (adapter_) std::ranges::move(unused_tensors(*adapter_, has_head_), std::back_inserter(unused));
  return unused;
}

std::string CheckpointWeights::sha256(Communicator& communicator) {
  if (!hash_) hash_.emplace(communicator, files_.weight_files());
  if (!sha256_) sha256_ = hash_->get(communicator);
  return *sha256_;
}

Fingerprint CheckpointWeights::fingerprint(Communicator& communicator) {
  Fingerprint fingerprint = folder_fingerprint(source_.path, config(), adapter_ ? &*adapter_ : nullptr);
  fingerprint.set(FingerprintPart::kWeights, sha256(communicator));
  return fingerprint;
}

}  // namespace trireme
