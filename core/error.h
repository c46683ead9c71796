#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace trireme {

/// The base of every error that Trireme throws on purpose. what() reads "[where] required; got; do": the place, what it
/// needed, what it was given (values, units), and what the user can do. Only launch/ catches, adds "rank r/R" under
/// mpirun, prints one line and exits with exit_code(); a rank that left by itself would hang the others.
class Error : public std::runtime_error {
 public:
  Error(int exit_code, std::string_view where, std::string_view text);
  ~Error() override;
  int exit_code() const noexcept { return exit_code_; }

 private:
  int exit_code_;
};

/// Wrong options or configuration: unknown key, value out of range, k above the corpus.
struct ConfigError : Error {
  static constexpr int kExitCode = 2;
  ConfigError(std::string_view where, std::string_view text);
  ~ConfigError() override;
};

/// A file or record that is missing, unreadable, corrupt or contradicts itself; also a full disk.
struct DataError : Error {
  static constexpr int kExitCode = 3;
  DataError(std::string_view where, std::string_view text);
  ~DataError() override;
};

/// Tensors whose shapes or dtypes do not fit each other.
struct ShapeError : Error {
  static constexpr int kExitCode = 4;
  ShapeError(std::string_view where, std::string_view text);
  ~ShapeError() override;
};

/// Ranks that disagree, a lost rank, a collective that ran past its timeout.
struct DistError : Error {
  static constexpr int kExitCode = 5;
  DistError(std::string_view where, std::string_view text);
  ~DistError() override;
};

/// Training that left the numbers: non-finite loss or gradient, loss spike, collapsed embeddings.
struct DivergedError : Error {
  static constexpr int kExitCode = 6;
  DivergedError(std::string_view where, std::string_view text);
  ~DivergedError() override;
};

/// A broken invariant of our own code; the message asks for a report.
struct InternalError : Error {
  static constexpr int kExitCode = 70;
  InternalError(std::string_view where, std::string_view text);
  ~InternalError() override;
};

}  // namespace trireme

/// Refuse what a user or a file brought: throws `Kind` (DataError, ConfigError, ..) unless `condition` holds.
/// TRIREME_CHECK(k <= corpus_size, ConfigError, "search", "k must be at most the corpus size; got k = {} and {} rows; "
///               "lower --k.", k, corpus_size);
#define TRIREME_CHECK(condition, Kind, where, ...)              \
  do {                                                          \
    if (!(condition)) [[unlikely]]                              \
      throw ::trireme::Kind(where, ::fmt::format(__VA_ARGS__)); \
  } while (false)

/// State an invariant of our own code: throws InternalError (exit 70) when it does not hold. On in release builds too.
#define TRIREME_ASSERT(condition, ...)                                                                            \
  do {                                                                                                            \
    if (!(condition)) [[unlikely]]                                                                                \
      throw ::trireme::InternalError(fmt::format("{}:{}", __FILE_NAME__, __LINE__),                               \
                                     fmt::format("{} must hold; {}; this is a bug in Trireme, please report it.", \
                                                 #condition, ::fmt::format(__VA_ARGS__)));                        \
  } while (false)
