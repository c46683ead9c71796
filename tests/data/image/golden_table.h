#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::test {

/// The cells of a table of tests/golden/image, made by make.py there.
inline std::vector<std::vector<std::string>> golden_table(const std::string& name) {
  std::ifstream file(std::string(TRIREME_TEST_DIR "/golden/image/") + name);
  std::vector<std::vector<std::string>> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream cells(line);
    auto& row = rows.emplace_back();
    for (std::string cell; std::getline(cells, cell, '\t');) row.push_back(cell);
  }
  return rows;
}

/// The bytes of a file below tests/golden/image.
inline std::string golden_bytes(const std::string& name) {
  std::ifstream file(std::string(TRIREME_TEST_DIR "/golden/image/") + name, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  return std::move(bytes).str();
}

}  // namespace trireme::test
