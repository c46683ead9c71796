#include "core/distributed/work.h"

#include <exception>
#include <utility>

#include "core/distributed/collective.h"

namespace trireme {

Work::Work(std::unique_ptr<PendingCollective> pending)
    : pending_(std::move(pending)), exceptions_at_birth_(std::uncaught_exceptions()) {}

Work::Work(Work&& other) noexcept
    : pending_(std::move(other.pending_)), exceptions_at_birth_(other.exceptions_at_birth_) {}

Work& Work::operator=(Work&& other) {
  if (this == &other) return *this;
  check_waited();
  pending_ = std::move(other.pending_);
  exceptions_at_birth_ = other.exceptions_at_birth_;
  return *this;
}

Work::~Work() noexcept(false) {
  // An exception on its way already ends this rank's work; a second one would end the process without a word.
  if (std::uncaught_exceptions() <= exceptions_at_birth_) check_waited();
}

void Work::check_waited() const {
  TRIREME_ASSERT(pending_ == nullptr, "a collective was started and nobody waited for it");
}

void Work::wait() {
  if (const auto pending = std::exchange(pending_, nullptr)) pending->wait();
}

}  // namespace trireme
