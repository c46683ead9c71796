#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/distributed/communicator.h"
#include "core/tensor.h"

namespace trireme {

struct ReducerOptions {
  /// Gradients travel in flat buckets of about this size; a larger tensor has a bucket of its own.
  int64_t bucket_bytes = 4 << 20;
};

/// Sums the gradients of parameters that every rank holds alike, over all ranks.
/// A rank's loss is (sum over its own rows) / B_global, so that the SUM over ranks is the gradient of the global mean.
///
///   reducer.start_step();                           // all gradients 0
///   for (chunk : all but the last) backward(..);    // adds up, on this rank alone
///   reducer.overlap_next_backward();                // may be left out
///   backward(..);                                   // full buckets leave while it goes on
///   reducer.finish_step();                          // every parameter.grad() holds the sum
///
/// Each gradient is a view into a bucket, for the reducer's whole life: set to 0, never undefined. A parameter that got
/// no gradient on this rank (no picture in its rows) contributes zeros.
/// The schedule of collectives is the same on every rank whatever its data: bucket by bucket in reverse order of
/// `parameters`, each once a step. A bucket leaves early only if all before it have left. With overlap no other
/// collective may begin between the first complete parameter gradient and finish_step(); what a loss does in its own
/// backward comes before.
/// cost  one all-reduce per bucket and step; memory of one gradient per parameter.
class GradientReducer {
 public:
  /// Collective: the ranks compare their parameters. Takes over the parameters' gradients, which must be undefined.
  /// parameters: leaves that require gradient, dense, any mix of dtypes and devices.
  /// throws DistError: ranks with other parameters. ShapeError: a parameter that is no leaf or asks for no gradient.
  GradientReducer(std::vector<torch::Tensor> parameters, Communicator& communicator,
                  const ReducerOptions& options = {});
  /// Gives the gradients back undefined.
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  void start_step();
  /// The next backward() is the step's last: each bucket's all-reduce begins as soon as the bucket is full.
  /// throws InternalError out of that backward() when a parameter gets a second gradient in it after its bucket left:
  /// a parameter shared by two recomputed blocks. Such a model leaves this call out.
  void overlap_next_backward();
  /// Returns when the sums are safe to read. throws DistError, PeerFailed as collectives do.
  void finish_step();

  /// The gradients, in the order of the parameters. Equal bits on every rank after finish_step().
  const std::vector<torch::Tensor>& gradients() const noexcept { return gradients_; }
  int64_t bucket_count() const noexcept;

 private:
  struct Bucket;
  class Hook;

  void gradient_arrived(std::size_t parameter);
  void launch_next();

  Communicator& communicator_;
  std::vector<torch::Tensor> parameters_, gradients_;
  std::vector<std::unique_ptr<Bucket>> buckets_;  ///< in the order in which they leave
  std::vector<std::size_t> bucket_of_;            ///< by parameter
  std::vector<bool> arrived_;                     ///< by parameter, in the backward that overlaps
  std::size_t launched_ = 0;
  bool overlaps_ = false;
  std::mutex mutex_;
};

}  // namespace trireme
