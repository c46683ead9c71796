#include "data/preparation/stamps.h"

#include <algorithm>
#include <system_error>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/io/descriptor.h"
#include "core/io/file.h"
#include "data/preparation/concept_key.h"
#include "data/preparation/text_lines.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxCaptionFile = 1 << 20;

std::string first_line(const fs::path& file) {
  const std::string text = read_text_file(file, kMaxCaptionFile);
  std::string line(trimmed(std::string_view(text).substr(0, text.find('\n'))));
  from_utf8(line, file.string());  // refuses what is not UTF-8
  return line;
}

struct Pipe {
  Descriptor read_end, write_end;
};

Pipe open_pipe() {
  int ends[2];
  TRIREME_CHECK(pipe2(ends, O_CLOEXEC) == 0, DataError, "prepare pictograms",
                "a pipe to rsvg-convert must open; got \"{}\"; raise the limit of open files.",
                std::generic_category().message(errno));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Starts `arguments` with its standard output in `out`; its messages go nowhere, and its exit code says what counts.
pid_t start(std::vector<std::string> arguments, const Descriptor& out) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.number(), STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  const int error = posix_spawn(&process, argv[0], &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  TRIREME_CHECK(error == 0, DataError, arguments[0], "the program must start; got \"{}\"; reinstall librsvg2-bin.",
                std::generic_category().message(error));
  return process;
}

}  // namespace

std::vector<Stamp> read_stamps(const fs::path& folder) {
  std::vector<Stamp> stamps;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".txt") continue;
    const std::string name = entry.path().lexically_relative(folder).replace_extension().generic_string();
    if (name.starts_with("symbols/")) continue;
    fs::path png = entry.path(), svg = entry.path();
    png.replace_extension(".png");
    svg.replace_extension(".svg");
    const bool has_png = fs::is_regular_file(png);
    if (!has_png && !fs::is_regular_file(svg)) continue;
    std::string caption = first_line(entry.path());
    if (!caption.empty()) stamps.push_back({name, std::move(caption), has_png ? png : svg, !has_png});
  }
  std::sort(stamps.begin(), stamps.end(), [](const Stamp& a, const Stamp& b) { return a.name < b.name; });
  return stamps;
}

Drawing draw_svg(const fs::path& converter, const fs::path& file) {
  Pipe pipe = open_pipe();
  const pid_t process =
      start({converter.string(), "--format=png", "--keep-aspect-ratio", "--width=192", "--height=192", file.string()},
            pipe.write_end);
  pipe.write_end.close();
  std::vector<std::byte> png;
  std::vector<std::byte> buffer(1 << 16);
  while (const std::size_t count = read_some(pipe.read_end, buffer, file)) {
    png.insert(png.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(count));
  }
  int status = 0;
  while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  TRIREME_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, DataError, file.string(),
                "{} must draw it; got status {}; reinstall tuxpaint-stamps-default and librsvg2-bin.",
                converter.string(), status);
  return read_png_drawing(png, file.string());
}

}  // namespace trireme
