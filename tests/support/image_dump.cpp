// Decodes and preprocesses the images that a list names, and writes what came out for another program to compare
// (tests/peer/image_parity.py), or times it.
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "data/image/image.h"
#include "data/image/preprocess.h"
#include "launch/cpu_settings.h"
#include "launch/options.h"

namespace trireme {
namespace {

std::vector<char> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TRIREME_CHECK(file.good(), DataError, path, "the file must be readable; got an error; check the path.");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Two int64 and then the values, little endian.
template <class T>
void write_array(const std::string& path, int64_t first, int64_t second, const std::vector<T>& values) {
  std::ofstream file(path, std::ios::binary);
  const int64_t header[2] = {first, second};
  file.write(reinterpret_cast<const char*>(header), sizeof header);
  file.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
  TRIREME_CHECK(file.good(), DataError, path, "the file must be writable; got an error; check the disk.");
}

struct Options {
  std::string list, out;
  bool drop_alpha = false;
  int64_t repeats = 0;
  int64_t min_pixels = ImageProcessorConfig{}.min_pixels, max_pixels = ImageProcessorConfig{}.max_pixels;

  ImageProcessorConfig config() const {
    ImageProcessorConfig config;
    config.min_pixels = min_pixels;
    config.max_pixels = max_pixels;
    return config;
  }

  void describe(FieldList& v) {
    v.field("list", list, "File with one image path a line.").required().positional();
    v.field("out", out, "Folder for INDEX.rgb, INDEX.resized, INDEX.patches.");
    v.field("drop_alpha", drop_alpha, "Forget alpha instead of compositing on white.");
    v.field("repeats", repeats, "Time this many rounds instead of writing.");
    v.field("min_pixels", min_pixels, "As in preprocessor_config.json.");
    v.field("max_pixels", max_pixels, "As in preprocessor_config.json.");
  }
};

/// A line of the list: a path, or a path, a tab and HEIGHTxWIDTH for a plain resize besides.
struct Entry {
  std::string path;
  ImageSize resize_to;
};

std::vector<Entry> read_list(const std::string& path) {
  std::ifstream file(path);
  TRIREME_CHECK(file.good(), DataError, path, "the list must be readable; got an error; check the path.");
  std::vector<Entry> entries;
  for (std::string line; std::getline(file, line);) {
    Entry entry{.path = line.substr(0, line.find('\t')), .resize_to = {}};
    if (entry.path.size() < line.size()) {
      std::sscanf(line.c_str() + entry.path.size(), "\t%ldx%ld", &entry.resize_to.height, &entry.resize_to.width);
    }
    entries.push_back(entry);
  }
  return entries;
}

void dump(const Options& options, const Entry& entry, std::size_t index) {
  const std::string stem = fmt::format("{}/{}", options.out, index);
  try {
    const std::vector<char> bytes = read_bytes(entry.path);
    const AlphaMode alpha = options.drop_alpha ? AlphaMode::kDrop : AlphaMode::kWhite;
    const RgbImage image = decode_image(std::as_bytes(std::span(bytes)), entry.path, alpha);
    write_array(stem + ".rgb", image.height, image.width, image.pixels);
    if (entry.resize_to.height > 0) {
      const RgbImage resized = resize_bicubic(image, entry.resize_to.height, entry.resize_to.width);
      write_array(stem + ".resized", resized.height, resized.width, resized.pixels);
    }
    const ImagePatches patches = preprocess_image(image, options.config(), entry.path);
    write_array(stem + ".patches", patches.grid_h, patches.grid_w, patches.values);
    fmt::print("{}\tok\n", index);
  } catch (const Error& error) {
    fmt::print("{}\t{}\t{}\n", index, error.exit_code(), error.what());
  }
}

double cpu_ms() { return static_cast<double>(std::clock()) * 1000.0 / CLOCKS_PER_SEC; }

/// Milliseconds of processor time an image takes, decoding and preprocessing apart, over `repeats` rounds of the list.
void time_all(const Options& options, const std::vector<Entry>& entries) {
  std::vector<std::vector<char>> files;
  for (const Entry& entry : entries) files.push_back(read_bytes(entry.path));
  double decoding = 0.0, preprocessing = 0.0;
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const double start = cpu_ms();
      const RgbImage image = decode_image(std::as_bytes(std::span(files[i])), entries[i].path);
      const double decoded = cpu_ms();
      const ImagePatches patches = preprocess_image(image, options.config(), entries[i].path);
      preprocessing += cpu_ms() - decoded;
      decoding += decoded - start;
    }
  }
  const double images = static_cast<double>(files.size()) * static_cast<double>(options.repeats);
  fmt::print("decode_ms {:.4f} preprocess_ms {:.4f}\n", decoding / images, preprocessing / images);
}

int run(int argc, char** argv) {
  Options options;
  Program program{.name = "image_dump", .purpose = "Images as the program sees them."};
  program.add("dump", "Decoded pixels, grids and patches of the images in a list.", options);
  const CommandLine line = parse_command_line(program, {argv + 1, static_cast<std::size_t>(argc - 1)});
  fmt::print("{}", line.text);
  if (line.verb.empty()) return 0;
  const std::vector<Entry> entries = read_list(options.list);
  if (options.repeats > 0) {
    time_all(options, entries);
  } else {
    for (std::size_t i = 0; i < entries.size(); ++i) dump(options, entries[i], i);
  }
  return 0;
}

}  // namespace
}  // namespace trireme

int main(int argc, char** argv) {
  trireme::keep_freed_memory();
  try {
    return trireme::run(argc, argv);
  } catch (const trireme::Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return error.exit_code();
  }
}
