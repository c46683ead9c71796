#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <simdjson.h>

#include "core/error.h"
#include "core/io/json_text.h"
#include "core/io/quote.h"
#include "core/io/text.h"
#include "data/image/preprocess.h"

namespace trireme {
namespace {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = 1 << 20, kMaxDepth = 64;
constexpr int64_t kMaxPatch = 1024, kMaxPixels = int64_t{1} << 40;
constexpr int64_t kBicubic = 3;  // Pillow's Resampling.BICUBIC

std::string shown(dom::element value) {
  dom::object object;
  std::string_view odd;
  const bool is_odd = !value.get(object) && object.size() == 1 && !object.at_key(kOddValueKey).get(odd);
  return is_odd ? quote_text(odd) : shown_json(simdjson::minify(value));
}

/// An object of the file; `prefix` is its path there: "image_processor.size.".
class Section {
 public:
  Section(dom::object object, std::string file, std::string prefix)
      : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

  /// nullopt when absent or null, which are the same for transformers.
  std::optional<dom::element> find(std::string_view key) const {
    dom::element element;
    if (object_.at_key(key).get(element) || element.is_null()) return std::nullopt;
    return element;
  }

  std::optional<Section> section(std::string_view key) const {
    const auto element = find(key);
    if (!element) return std::nullopt;
    dom::object object;
    require(!element->get(object), key, "an object");
    return Section(object, file_, fmt::format("{}{}.", prefix_, key));
  }

  std::optional<int64_t> integer(std::string_view key, int64_t least, int64_t most) const {
    const auto element = find(key);
    if (!element) return std::nullopt;
    int64_t value = 0;
    require(!element->get(value) && value >= least && value <= most, key,
            fmt::format("an integer from {} to {}", least, most));
    return value;
  }

  /// One number for each channel, or one for all three.
  std::optional<std::array<float, 3>> per_channel(std::string_view key) const {
    const auto element = find(key);
    if (!element) return std::nullopt;
    std::array<float, 3> values{};
    std::size_t count = 0;
    const auto take = [&](dom::element number) {
      double value = 0.0;
      require(!number.get(value) && count < values.size(), key, "three numbers, for red, green and blue");
      values[count++] = static_cast<float>(value);
    };
    if (dom::array list; !element->get(list)) {
      for (const dom::element number : list) take(number);
    } else {
      while (count < values.size()) take(*element);
    }
    require(count == values.size(), key, "three numbers, for red, green and blue");
    return values;
  }

  /// `holds` of the field under `key`, else a DataError that says what it must be, and what to `do`.
  void require(bool holds, std::string_view key, std::string_view wanted,
               std::string_view advice = "take the checkpoint's own file") const {
    if (holds) return;
    const auto element = find(key);
    throw DataError(file_, fmt::format("{}{} must be {}; got {}; {}.", prefix_, key, wanted,
                                       element ? shown(*element) : "no such field", advice));
  }

 private:
  dom::object object_;
  std::string file_, prefix_;
};

/// Names of one and the same preprocessor. transformers 4.49, as Qwen2.5-VL came out, called it Qwen2_5_VL..; so do
/// that time's checkpoints and what was made of them.
constexpr std::array kNames{"Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil",
                            "Qwen2_5_VLImageProcessor", "Qwen2_5_VLImageProcessorFast"};

/// Every checkpoint of these families resizes, scales and normalises; one that does not needs another preprocessor.
void check_kind(const Section& fields) {
  constexpr std::string_view kOther = "pictures that are prepared in another way are not supported";
  if (const auto type = fields.find("image_processor_type")) {
    std::string_view name;
    const bool known = !type->get(name) && std::ranges::find(kNames, name) != kNames.end();
    fields.require(known, "image_processor_type", "Qwen2VLImageProcessor (also ..Fast and ..Pil, and Qwen2_5_VL..)",
                   kOther);
  }
  for (const std::string_view step : {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"}) {
    bool on = true;
    const auto element = fields.find(step);
    fields.require(!element || (!element->get(on) && on), step, "true: the step cannot be left out", kOther);
  }
  fields.require(fields.integer("resample", 0, kMaxPixels).value_or(kBicubic) == kBicubic, "resample",
                 "3: the image is resized by Pillow's bicubic filter", kOther);
}

ImageProcessorConfig read_fields(const Section& fields) {
  check_kind(fields);
  ImageProcessorConfig config;
  const auto min_pixels = fields.integer("min_pixels", 1, kMaxPixels);
  const auto max_pixels = fields.integer("max_pixels", 1, kMaxPixels);
  if (const auto size = fields.section("size")) {
    const auto least = size->integer("shortest_edge", 1, kMaxPixels),
               most = size->integer("longest_edge", 1, kMaxPixels);
    size->require(least || min_pixels, "shortest_edge", "the least number of pixels, where min_pixels is not given");
    size->require(most || max_pixels, "longest_edge", "the largest number of pixels, where max_pixels is not given");
    config.min_pixels = least.value_or(config.min_pixels);
    config.max_pixels = most.value_or(config.max_pixels);
  }
  config.min_pixels = min_pixels.value_or(config.min_pixels);
  config.max_pixels = max_pixels.value_or(config.max_pixels);
  fields.require(config.max_pixels >= config.min_pixels, "max_pixels",
                 fmt::format("at least min_pixels, which is {}", config.min_pixels));
  config.patch_size = fields.integer("patch_size", 1, kMaxPatch).value_or(config.patch_size);
  config.merge_size = fields.integer("merge_size", 1, kMaxPatch).value_or(config.merge_size);
  config.temporal_patch_size = fields.integer("temporal_patch_size", 1, kMaxPatch).value_or(config.temporal_patch_size);
  config.mean = fields.per_channel("image_mean").value_or(config.mean);
  config.std = fields.per_channel("image_std").value_or(config.std);
  for (const float deviation : config.std) fields.require(deviation > 0.0f, "image_std", "three numbers above 0");
  if (const auto factor = fields.find("rescale_factor")) {
    const bool positive = !factor->get(config.rescale_factor) && config.rescale_factor > 0.0;
    fields.require(positive, "rescale_factor", "a number above 0");
  }
  return config;
}

/// One file, and the document that its sections point into.
class JsonFile {
 public:
  explicit JsonFile(const fs::path& path) : path_(path.string()), text_(read_utf8_file(path, kMaxBytes)) {
    dom::element element;
    auto error = parse(kMaxDepth, element);
    if (error) {
      const JsonFault fault = json_fault(text_, simdjson::error_message(error));
      if (const auto apart = with_odd_values_apart(text_)) {
        text_ = simdjson::padded_string(*apart);
        error = parse(kMaxDepth + 1, element);
      }
      TRIREME_CHECK(!error, DataError, path_,
                    "the file must be JSON, nested at most {} deep; got {}; take the checkpoint's own file.", kMaxDepth,
                    fault.what);
    }
    TRIREME_CHECK(!element.get(object_), DataError, path_,
                  "the file must hold one JSON object; got {}; take the checkpoint's own file.",
                  shown_json(simdjson::minify(element), 40));
  }
  Section top() const { return Section(object_, path_, ""); }

 private:
  simdjson::error_code parse(std::size_t depth, dom::element& element) {
    const auto error = parser_.allocate(text_.size(), depth);
    return error ? error : parser_.parse(text_).get(element);
  }

  std::string path_;
  simdjson::padded_string text_;
  dom::parser parser_;
  dom::object object_;
};

}  // namespace

ImageProcessorConfig read_image_processor_config(const fs::path& model_folder) {
  const fs::path combined = model_folder / "processor_config.json", own = model_folder / "preprocessor_config.json";
  std::error_code ignored;
  if (fs::exists(combined, ignored)) {
    const JsonFile file(combined);
    if (const auto fields = file.top().section("image_processor")) return read_fields(*fields);
  }
  TRIREME_CHECK(fs::exists(own, ignored), DataError, model_folder.string(),
                "a checkpoint that reads images needs preprocessor_config.json, or processor_config.json with an "
                "image_processor; got neither; copy the checkpoint's preprocessor files.");
  return read_fields(JsonFile(own).top());
}

}  // namespace trireme
