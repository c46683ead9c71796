#include "core/distributed/agreement.h"

#include <algorithm>

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/tensor.h"

namespace trireme {

std::vector<int64_t> all_gather_int64(Communicator& communicator, int64_t value) {
  const torch::Tensor output = at::empty({communicator.size(), 1}, torch::kInt64);
  communicator.all_gather(output, at::tensor({value}, torch::kInt64)).wait();
  const int64_t* values = output.const_data_ptr<int64_t>();
  return {values, values + output.numel()};
}

std::vector<std::string> all_gather_string(Communicator& communicator, std::string_view text) {
  const std::vector<int64_t> lengths = all_gather_int64(communicator, static_cast<int64_t>(text.size()));
  const int64_t longest = std::ranges::max(lengths);
  const torch::Tensor input = at::zeros({longest}, torch::kUInt8);
  std::ranges::copy(text, reinterpret_cast<char*>(input.data_ptr()));
  const torch::Tensor output = at::empty({communicator.size(), longest}, torch::kUInt8);
  communicator.all_gather(output, input).wait();
  std::vector<std::string> texts;
  const auto* rows = reinterpret_cast<const char*>(output.const_data_ptr());
  for (std::size_t rank = 0; rank < lengths.size(); ++rank) {
    texts.emplace_back(rows + static_cast<int64_t>(rank) * longest, static_cast<std::size_t>(lengths[rank]));
  }
  return texts;
}

std::vector<int64_t> broadcast_int64s(Communicator& communicator, std::vector<int64_t> values, int64_t root) {
  const torch::Tensor count = at::tensor({std::ssize(values)}, torch::kInt64);
  communicator.broadcast(count, root).wait();
  values.resize(static_cast<std::size_t>(count.item<int64_t>()));
  const torch::Tensor content = at::tensor(values, torch::kInt64);
  communicator.broadcast(content, root).wait();
  std::ranges::copy_n(content.const_data_ptr<int64_t>(), content.numel(), values.begin());
  return values;
}

std::string broadcast_string(Communicator& communicator, std::string_view text, int64_t root) {
  const torch::Tensor length = at::tensor({static_cast<int64_t>(text.size())}, torch::kInt64);
  communicator.broadcast(length, root).wait();
  const torch::Tensor content = at::zeros({length.item<int64_t>()}, torch::kUInt8);
  auto* bytes = reinterpret_cast<char*>(content.data_ptr());
  if (communicator.rank() == root) std::ranges::copy(text, bytes);
  communicator.broadcast(content, root).wait();
  return {bytes, static_cast<std::size_t>(content.numel())};
}

void check_ranks_agree(Communicator& communicator, std::string_view what, std::string_view text,
                       std::string_view advice) {
  const std::vector<std::string> texts = all_gather_string(communicator, text);
  const auto other = std::ranges::find_if(texts, [&](const std::string& each) { return each != texts.front(); });
  TRIREME_CHECK(other == texts.end(), DistError, "dist",
                "every rank must have the same {}; got {} on rank 0 and {} on rank {}; {}.", what, texts.front(),
                *other, other - texts.begin(), advice);
}

}  // namespace trireme
