#include "core/io/safetensors_header.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include <c10/core/ScalarType.h>

#include "core/error.h"
#include "core/io/quote.h"

namespace trireme {
namespace {

constexpr std::size_t kMaxDims = 64;  // libtorch's own limit for most operators
constexpr int kMaxNesting = 64;

struct NamedDtype {
  std::string_view name;
  c10::ScalarType dtype;
};
constexpr std::array<NamedDtype, 10> kDtypes{{{"F64", c10::kDouble},
                                              {"F32", c10::kFloat},
                                              {"F16", c10::kHalf},
                                              {"BF16", c10::kBFloat16},
                                              {"I64", c10::kLong},
                                              {"I32", c10::kInt},
                                              {"I16", c10::kShort},
                                              {"I8", c10::kChar},
                                              {"U8", c10::kByte},
                                              {"BOOL", c10::kBool}}};

std::optional<c10::ScalarType> dtype_of_name(std::string_view name) {
  for (const NamedDtype& known : kDtypes)
    if (known.name == name) return known.dtype;
  return std::nullopt;
}

/// nlohmann's reader calls back for each value and keeps nothing itself, whatever the nesting: no JSON bomb goes off.
/// Everything is refused here except what a handler below overrides.
class StrictHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit StrictHandler(const std::filesystem::path& path) : path_(path) {}

  bool null() override { refuse("null"); }
  bool boolean(bool value) override { refuse(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { refuse(fmt::format("{}", value)); }
  bool number_unsigned(number_unsigned_t value) override { refuse(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { refuse(quote_text(text)); }
  bool string(string_t& value) override { refuse(quote_text(value)); }
  bool binary(binary_t&) override { refuse("binary data"); }
  bool start_array(std::size_t) override { refuse("an array"); }
  bool end_array() override { return true; }

  bool parse_error(std::size_t position, const std::string& last_token, const nlohmann::json::exception&) override {
    throw DataError("safetensors", fmt::format("{} must hold valid JSON; got {} at byte {} of it; {}.",
                                               quote_path(path_), quote_text(last_token, 40), position, kRemedy));
  }

 protected:
  static constexpr std::string_view kRemedy = "the file is damaged: download or write it again";

  /// What must stand where the reader is now, in words; the message is built around it.
  virtual std::string required() const = 0;

  [[noreturn]] void refuse(std::string_view got) const {
    throw DataError("safetensors", fmt::format("{}: {}; got {}; {}.", quote_path(path_), required(), got, kRemedy));
  }
  [[noreturn]] void refuse_with(std::string_view must, std::string_view got) const {
    throw DataError("safetensors", fmt::format("{}: {}; got {}; {}.", quote_path(path_), must, got, kRemedy));
  }

  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  const std::filesystem::path& path_;
};

void parse(std::string_view json, StrictHandler& handler, const std::filesystem::path& path) {
  // nlohmann's reader takes a NUL for the end of the text and would accept whatever follows it.
  const std::size_t nul = json.find('\0');
  TRIREME_CHECK(nul == json.npos, DataError, "safetensors",
                "{} must hold valid JSON; got a NUL at byte {} of it; the file is damaged: download or write it again.",
                quote_path(path), nul);
  nlohmann::json::sax_parse(json.begin(), json.end(), &handler);
}

/// { "__metadata__": {text: text}, name: {"dtype": text, "shape": [n, ..], "data_offsets": [begin, end]}, .. }
class HeaderHandler final : public StrictHandler {
 public:
  using StrictHandler::StrictHandler;

  SafetensorsHeader take() { return {std::move(entries_), std::move(metadata_)}; }

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kStart:
        place_ = Place::kNames;
        return true;
      case Place::kNames:
        place_ = name_ == kMetadataName ? Place::kMetadata : Place::kTensor;
        return true;
      default:
        refuse("an object");
    }
  }

  bool key(string_t& text) override {
    switch (place_) {
      case Place::kNames:
        if (!names_.insert(text).second) refuse_with("each name must stand once", quote_text(text) + " twice");
        name_ = std::move(text);
        return true;
      default:
        key_ = std::move(text);
        return true;
    }
  }

  bool end_object() override {
    if (place_ == Place::kTensor) finish_tensor();
    place_ = place_ == Place::kNames ? Place::kEnd : Place::kNames;
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      if (!metadata_.emplace(key_, std::move(value)).second)
        refuse_with("each key of __metadata__ must stand once", quote_text(key_) + " twice");
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") refuse(quote_text(value));
    if (dtype_) refuse_with(fmt::format("tensor {} must name its dtype once", quote_text(name_)), "two");
    dtype_ = dtype_of_name(value);
    if (!dtype_) throw_unsupported_dtype(value);
    return true;
  }

  bool start_array(std::size_t) override {
    std::optional<std::vector<uint64_t>>* const numbers = place_ != Place::kTensor ? nullptr
                                                          : key_ == "shape"        ? &shape_
                                                          : key_ == "data_offsets" ? &offsets_
                                                                                   : nullptr;
    if (numbers == nullptr) refuse("an array");
    if (*numbers) refuse_with(fmt::format("tensor {} must give its {} once", quote_text(name_), key_), "two");
    numbers->emplace();
    place_ = numbers == &shape_ ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) refuse(fmt::format("{}", value));
    std::vector<uint64_t>& numbers = place_ == Place::kShape ? *shape_ : *offsets_;
    if (numbers.size() == (place_ == Place::kShape ? kMaxDims : 2)) refuse("more");
    numbers.push_back(value);
    return true;
  }

 private:
  enum class Place { kStart, kNames, kMetadata, kTensor, kShape, kOffsets, kEnd };
  static constexpr std::string_view kMetadataName = "__metadata__";

  std::string required() const override {
    switch (place_) {
      case Place::kMetadata:
        return "__metadata__ must map text to text";
      case Place::kTensor:
        return fmt::format("tensor {} must hold a dtype (text), a shape and data_offsets (arrays), and no more",
                           quote_text(name_));
      case Place::kShape:
        return fmt::format("the shape of tensor {} must be at most {} integers from 0", quote_text(name_), kMaxDims);
      case Place::kOffsets:
        return fmt::format("the data_offsets of tensor {} must be two integers from 0", quote_text(name_));
      case Place::kNames:
        return fmt::format("{} must be an object", quote_text(name_));
      default:
        return "the header must be one JSON object";
    }
  }

  void finish_tensor() {
    if (!dtype_ || !shape_ || !offsets_ || offsets_->size() != 2)
      refuse(fmt::format("{}, {}, {}", dtype_ ? "a dtype" : "no dtype", shape_ ? "a shape" : "no shape",
                         !offsets_               ? "no data_offsets"
                         : offsets_->size() == 2 ? "data_offsets"
                                                 : "incomplete data_offsets"));
    SafetensorsEntry entry{name_, *dtype_, {}, offsets_->at(0), offsets_->at(1)};
    // Zeros count as ones here: strides are products of the other sizes, and those must not overflow either.
    uint64_t span_bytes = c10::elementSize(*dtype_);
    bool empty = false;
    for (const uint64_t size : *shape_) {
      const bool fits = !__builtin_mul_overflow(span_bytes, std::max<uint64_t>(size, 1), &span_bytes) &&
                        span_bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
      if (!fits)
        refuse_with(fmt::format("tensor {} must have at most 2^63 - 1 bytes", quote_text(name_)), shape_text());
      empty = empty || size == 0;
      entry.shape.push_back(static_cast<int64_t>(size));
    }
    const uint64_t size_bytes = empty ? 0 : span_bytes;
    if (entry.begin_bytes > entry.end_bytes || entry.end_bytes - entry.begin_bytes != size_bytes)
      refuse_with(fmt::format("tensor {} must take {} bytes, as its dtype and {} say", quote_text(name_), size_bytes,
                              shape_text()),
                  fmt::format("data_offsets [{}, {}]", entry.begin_bytes, entry.end_bytes));
    entries_.push_back(std::move(entry));
    dtype_.reset();
    shape_.reset();
    offsets_.reset();
  }

  std::string shape_text() const { return fmt::format("shape [{}]", fmt::join(*shape_, ", ")); }

  [[noreturn]] void throw_unsupported_dtype(std::string_view got) const {
    std::string known;
    for (const NamedDtype& each : kDtypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
    throw DataError(
        "safetensors",
        fmt::format("{}: tensor {} must have one of the dtypes {}; got {}; convert the file to one of them.",
                    quote_path(path()), quote_text(name_), known, quote_text(got)));
  }

  Place place_ = Place::kStart;
  std::set<std::string> names_;
  std::string name_;  ///< of the tensor that the reader is in
  std::string key_;
  std::optional<c10::ScalarType> dtype_;
  std::optional<std::vector<uint64_t>> shape_, offsets_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::string> metadata_;
};

/// { "metadata": anything, "weight_map": {name: file name} }
class IndexHandler final : public StrictHandler {
 public:
  using StrictHandler::StrictHandler;

  std::map<std::string, std::string> take() {
    if (file_of_.empty()) refuse("none");
    return std::move(file_of_);
  }

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("a boolean"); }
  bool number_integer(number_integer_t) override { return value("a number"); }
  bool number_unsigned(number_unsigned_t) override { return value("a number"); }
  bool number_float(number_float_t, const string_t&) override { return value("a number"); }

  bool string(string_t& text) override {
    if (depth_ != 2 || !in_map_) return value("text");
    const bool plain =
        !text.empty() && text != "." && text != ".." && text.find_first_of(std::string_view("/\\\0", 3)) == text.npos;
    if (!plain)
      refuse_with(
          fmt::format("the shard of tensor {} must be the plain name of a file in the same folder", quote_text(name_)),
          quote_text(text));
    if (!file_of_.emplace(name_, std::move(text)).second)
      refuse_with("weight_map must name each tensor once", quote_text(name_) + " twice");
    return true;
  }

  bool start_object(std::size_t) override { return enter("an object"); }
  bool start_array(std::size_t) override { return enter("an array"); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& text) override {
    if (depth_ == 1) {
      in_map_ = text == "weight_map";
      if (in_map_ && std::exchange(has_map_, true)) refuse_with("weight_map must stand once", "two");
    } else if (depth_ == 2 && in_map_) {
      name_ = std::move(text);
    }
    return true;
  }

 private:
  std::string required() const override { return "a weight_map must name the file of each tensor"; }

  bool value(std::string_view kind) const {
    if (depth_ == 0 || in_map_) refuse(kind);
    return true;
  }

  bool enter(std::string_view kind) {
    if (depth_ == 0 ? kind == "an array" : in_map_ && (depth_ > 1 || kind == "an array")) refuse(kind);
    if (++depth_ > kMaxNesting) refuse_with(fmt::format("JSON must nest at most {} deep", kMaxNesting), "more");
    return true;
  }

  bool leave() {
    if (--depth_ == 1) in_map_ = false;
    return true;
  }

  int depth_ = 0;
  bool in_map_ = false, has_map_ = false;
  std::string name_;
  std::map<std::string, std::string> file_of_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const std::filesystem::path& path) {
  HeaderHandler handler(path);
  parse(json, handler, path);
  return handler.take();
}

std::map<std::string, std::string> parse_safetensors_index(std::string_view json, const std::filesystem::path& path) {
  IndexHandler handler(path);
  parse(json, handler, path);
  return handler.take();
}

std::string_view safetensors_dtype_name(c10::ScalarType dtype) noexcept {
  for (const NamedDtype& known : kDtypes)
    if (known.dtype == dtype) return known.name;
  return "";
}

}  // namespace trireme
