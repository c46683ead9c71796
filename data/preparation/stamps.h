#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/preparation/drawing.h"

namespace trireme {

/// One of Tux Paint's stamps: a photograph or drawing, and what a child is told about it.
struct Stamp {
  std::string name;     ///< path below the stamps' folder without ending: "animals/amphibians/frog"
  std::string caption;  ///< English: "A frog."
  std::filesystem::path picture;
  bool is_svg = false;
};

/// All stamps with a caption and a picture, by name, without symbols/ (letters, numbers, coins). A stamp that has both
/// is taken as PNG. throws DataError: a file unreadable, a caption that is not UTF-8.
std::vector<Stamp> read_stamps(const std::filesystem::path& folder);

/// converter: rsvg-convert. The picture at 192 pixels on its longer side; it runs as a process of its own with an
/// empty environment. throws DataError: it cannot be started, or fails (with its exit code).
Drawing draw_svg(const std::filesystem::path& converter, const std::filesystem::path& file);

}  // namespace trireme
