#include "core/io/mapping_fault.h"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/io/quote.h"

namespace trireme {

/// One mapping. Entries are never freed, only used again, so that the handler may walk the list at any time.
struct MappingEntry {
  std::atomic<uintptr_t> begin{0}, end{0};  ///< end is written last and cleared first; equal = free
  std::string path;
  MappingEntry* next = nullptr;
};

namespace {

// A handler can reach nothing else.
std::atomic<MappingEntry*> first_entry{nullptr};
std::atomic<const MappingEntry*> faulted{nullptr};
uintptr_t page_bytes = 0;
std::atomic<int> let_pass{0};

std::mutex& entries_mutex() {
  static std::mutex mutex;
  return mutex;
}

const MappingEntry* mapping_at(uintptr_t address) {
  for (const MappingEntry* entry = first_entry.load(); entry != nullptr; entry = entry->next) {
    if (address >= entry->begin.load() && address < entry->end.load()) return entry;
  }
  return nullptr;
}

/// Puts zeros where the file should be, from the faulting page to the mapping's end: what follows is as worthless.
extern "C" void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  const MappingEntry* const entry = mapping_at(address);
  if (entry != nullptr) {
    const uintptr_t page = address / page_bytes * page_bytes;
    void* const zeros = ::mmap(reinterpret_cast<void*>(page), entry->end.load() - page, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (zeros != MAP_FAILED) {
      const MappingEntry* none = nullptr;
      faulted.compare_exchange_strong(none, entry);
      return;
    }
  }
  ::signal(signal, SIG_DFL);  // the access is tried again, and ends the process
}

MappingEntry* free_entry() {
  for (MappingEntry* entry = first_entry.load(); entry != nullptr; entry = entry->next) {
    if (entry->end.load() == 0 && entry != faulted.load()) return entry;
  }
  auto* const entry = new MappingEntry;
  entry->next = first_entry.load();
  first_entry.store(entry);
  return entry;
}

}  // namespace

void survive_mapping_faults() {
  page_bytes = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  struct sigaction action {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  const int failed = ::sigaction(SIGBUS, &action, nullptr);
  TRIREME_ASSERT(failed == 0, "sigaction of SIGBUS");
}

std::optional<DataError> mapping_fault() {
  const MappingEntry* const entry = faulted.load();
  if (entry == nullptr) return std::nullopt;
  return DataError("file", fmt::format("{} must stay whole while it is in use; got a page that cannot be read: the "
                                       "file was shortened, or its disk failed; bring the file back and start again.",
                                       quote_path(entry->path)));
}

void require_mappings_whole() {
  if (faulted.load() == nullptr || let_pass.load() > 0) return;
  throw *mapping_fault();
}

bool is_in_mapped_file(const void* address) { return mapping_at(reinterpret_cast<uintptr_t>(address)) != nullptr; }

AfterMappingFault::AfterMappingFault() { ++let_pass; }
AfterMappingFault::~AfterMappingFault() { --let_pass; }

WatchedMapping::WatchedMapping(const void* data, std::size_t size, const std::filesystem::path& path) {
  const std::lock_guard lock(entries_mutex());
  entry_ = free_entry();
  entry_->path = path.native();
  entry_->begin.store(reinterpret_cast<uintptr_t>(data));
  entry_->end.store(reinterpret_cast<uintptr_t>(data) + size);
}

WatchedMapping::~WatchedMapping() { entry_->end.store(0); }

}  // namespace trireme
