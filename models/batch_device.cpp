#include "models/batch_device.h"

#include "core/tensor.h"

namespace trireme {

PackedBatch on_device(PackedBatch batch, c10::Device device) {
  for (torch::Tensor* tensor : {&batch.tokens, &batch.position_ids, &batch.patches, &batch.image_rows, &batch.rows}) {
    if (tensor->defined()) *tensor = tensor->to(device, /*non_blocking=*/true);
  }
  return batch;
}

}  // namespace trireme
