#include "core/distributed/self.h"

#include <cstdlib>

#include <c10/core/GradMode.h>

#include "core/distributed/collective.h"

namespace trireme {
namespace {

class Done final : public PendingCollective {
 public:
  void wait() override {}
};

}  // namespace

std::unique_ptr<PendingCollective> SelfCommunicator::start(const Collective& call) {
  const c10::NoGradGuard no_grad;
  if (call.output.defined() && !call.output.is_same(call.input)) call.output.copy_(call.input.view_as(call.output));
  return std::make_unique<Done>();
}

void SelfCommunicator::abort_group(int exit_code) { std::_Exit(exit_code); }

}  // namespace trireme
