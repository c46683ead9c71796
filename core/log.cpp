#include "core/log.h"

#include <mutex>
#include <string>
#include <system_error>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include "core/error.h"
#include "core/printable.h"

namespace trireme {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
  }
  TRIREME_ASSERT(false, "LogLevel {}", static_cast<int>(level));
}

/// Hands formatted lines to the console, which keeps them apart from the progress bar.
class ConsoleSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit ConsoleSink(Console& console) : console_(console) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    console_.line({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  Console& console_;
};

std::unique_ptr<spdlog::formatter> line_formatter(const std::string& pattern, const std::string& end_of_line) {
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::local, end_of_line);
}

spdlog::sink_ptr file_sink(const std::filesystem::path& directory, int64_t rank) {
  const std::filesystem::path path = directory / fmt::format("rank_{}.log", rank);
  try {
    std::filesystem::create_directories(directory);
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path.string());
    sink->set_formatter(line_formatter("%Y-%m-%d %H:%M:%S.%e %l: %v", "\n"));
    return sink;
  } catch (const std::filesystem::filesystem_error& error) {
    throw DataError("log", fmt::format("the log folder {} must be writable; got {}; choose another.",
                                       directory.string(), error.code().message()));
  } catch (const spdlog::spdlog_ex& error) {
    throw DataError("log", fmt::format("the log file {} must be writable; got {}; choose another folder.",
                                       path.string(), error.what()));
  }
}

}  // namespace

struct Log::Sinks {
  spdlog::logger logger;
};

Log::Log(Console& console, const LogOptions& options) : sinks_(new Sinks{spdlog::logger("trireme")}) {
  spdlog::logger& logger = sinks_->logger;
  logger.set_level(spdlog_level(options.level));
  logger.flush_on(spdlog::level::debug);
  if (options.rank == 0 || !options.directory) {
    auto sink = std::make_shared<ConsoleSink>(console);
    const std::string who = options.rank == 0 ? "" : fmt::format("rank {}: ", options.rank);
    sink->set_formatter(line_formatter("%H:%M:%S %l: " + who + "%v", ""));
    if (options.rank != 0) sink->set_level(spdlog::level::warn);
    logger.sinks().push_back(std::move(sink));
  }
  if (options.directory) logger.sinks().push_back(file_sink(*options.directory, options.rank));
  logger.set_error_handler([directory = options.directory.value_or("")](const std::string& failure) {
    throw DataError("log", fmt::format("a log line must be written whole; got \"{}\"; free space in {} or choose "
                                       "another folder.",
                                       failure, directory.string()));
  });
}

Log::~Log() = default;

void Log::write(LogLevel level, fmt::string_view format, fmt::format_args args) {
  const spdlog::level::level_enum spdlogs = spdlog_level(level);
  if (sinks_->logger.should_log(spdlogs)) sinks_->logger.log(spdlogs, printable(fmt::vformat(format, args)));
}

}  // namespace trireme
