#include "core/io/mapping_fault.h"

#include <csignal>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/io/file.h"
#include "tests/support/temp_folder.h"

namespace trireme {
namespace {

constexpr std::size_t kPages = 5;

std::size_t page_bytes() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

/// A file of kPages pages of 'x' that loses all but the first two once it is mapped. A fault is remembered for as long
/// as the process lives, so each test has a process of its own: EXPECT_EXIT.
struct ShortenedFile {
  ShortenedFile() : file(folder.write("weights", std::string(kPages * page_bytes(), 'x'))) {
    survive_mapping_faults();
    std::filesystem::resize_file(file.path(), 2 * page_bytes());
  }
  char at(std::size_t page) const { return file.text()[page * page_bytes()]; }
  /// Leaves with code 0, and tells on standard error what `work` threw.
  template <class Work>
  [[noreturn]] void leave_after(const Work& work) const {
    try {
      work();
      std::cerr << "nothing was thrown";
    } catch (const DataError& error) {
      std::cerr << error.what();
    }
    std::filesystem::remove_all(folder.path());
    std::_Exit(0);
  }

  test::TempFolder folder;
  MappedFile file;
};

constexpr const char* kTold = "\\[file\\] \".*/weights\" must stay whole .*shortened";

TEST(MappingFault, IsNoneWhileFilesAreWhole) {
  EXPECT_FALSE(mapping_fault().has_value());
  EXPECT_NO_THROW(require_mappings_whole());
}

TEST(MappingFault, ReadsAsZerosAndIsTold) {
  const auto read_all = [] {
    const ShortenedFile shortened;
    shortened.leave_after([&] {
      TRIREME_ASSERT(shortened.at(1) == 'x' && !mapping_fault(), "the pages that are there");
      TRIREME_ASSERT(shortened.at(3) == 0 && shortened.at(2) == 0 && shortened.at(4) == 0, "the pages that are not");
      TRIREME_ASSERT(shortened.at(0) == 'x', "the pages that are there");
      require_mappings_whole();
    });
  };
  EXPECT_EXIT(read_all(), ::testing::ExitedWithCode(0), kTold);
}

TEST(MappingFault, IsSurvivedOnAnyThread) {
  const auto read_on_threads = [] {
    const ShortenedFile shortened;
    shortened.leave_after([&] {
      std::vector<std::thread> threads;
      for (std::size_t page = 0; page < kPages; ++page)
        threads.emplace_back([&, page] { EXPECT_GE(shortened.at(page), 0); });
      for (std::thread& thread : threads) thread.join();
      require_mappings_whole();
    });
  };
  EXPECT_EXIT(read_on_threads(), ::testing::ExitedWithCode(0), kTold);
}

TEST(MappingFault, KeepsAFileOfWhatCameOfItFromItsPlace) {
  const auto commit = [] {
    const ShortenedFile shortened;
    shortened.leave_after([&] {
      AtomicFile out(shortened.folder.path() / "out");
      out.write(std::string(1, shortened.at(3)));
      out.commit();
    });
  };
  EXPECT_EXIT(commit(), ::testing::ExitedWithCode(0), kTold);
}

TEST(MappingFault, IsToldWhenItIsTheKernelThatReads) {
  const auto write_mapped = [] {
    const ShortenedFile shortened;
    shortened.leave_after([&] { AtomicFile(shortened.folder.path() / "out").write(shortened.file.text()); });
  };
  EXPECT_EXIT(write_mapped(), ::testing::ExitedWithCode(0), kTold);
}

TEST(MappingFault, LetsOlderValuesBeWritten) {
  const auto keep = [] {
    const ShortenedFile shortened;
    shortened.leave_after([&] {
      EXPECT_EQ(shortened.at(3), 0);
      const std::string own = "own";
      TRIREME_ASSERT(is_in_mapped_file(shortened.file.bytes().data()) && !is_in_mapped_file(own.data()), "");
      {
        const AfterMappingFault values_are_whole;
        AtomicFile out(shortened.folder.path() / "out");
        out.write(own);
        out.commit();
      }
      TRIREME_ASSERT(read_text_file(shortened.folder.path() / "out") == own, "");
      require_mappings_whole();
    });
  };
  EXPECT_EXIT(keep(), ::testing::ExitedWithCode(0), kTold);
}

TEST(MappingFault, ElsewhereEndsTheProcess) {
  const auto read_unwatched = [] {
    const ShortenedFile shortened;
    const MappedFile other(shortened.folder.write("other", std::string(page_bytes(), 'y')));
    const int file = ::memfd_create("unwatched", 0);
    const void* const page = ::mmap(nullptr, page_bytes(), PROT_READ, MAP_SHARED, file, 0);
    std::filesystem::remove_all(shortened.folder.path());
    std::_Exit(*static_cast<const volatile char*>(page));
  };
  EXPECT_EXIT(read_unwatched(), ::testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace trireme
