#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <simdjson.h>

namespace trireme {

/// One line of a jsonl file as an object. It lives in the calling thread's parser: until this thread's next call.
/// throws DataError: not JSON, not UTF-8, nested deeper than 32, not an object.
simdjson::dom::object parse_json_line(std::string_view line, std::string_view where);

/// The string under `key`; null and an absent key are "". throws DataError: another type.
std::string text_or_empty(simdjson::dom::object object, std::string_view key, std::string_view where);

/// The string under `key`, which must be there and not be empty. throws DataError.
std::string required_text(simdjson::dom::object object, std::string_view key, std::string_view where);

/// What a record holds; the names are M-BEIR's.
enum class Modality : uint8_t { kText, kImage, kImageText };
std::string_view modality_name(Modality modality);
/// throws DataError: neither text nor image; `keys` says what to fill in.
Modality modality_of(std::string_view text, std::string_view image, std::string_view keys, std::string_view where);

/// M-BEIR's modality field against what the record holds; an absent field says nothing.
void check_modality(simdjson::dom::object object, std::string_view key, Modality has, std::string_view where);

/// The dataset of an M-BEIR id "dataset:number". throws DataError.
int64_t dataset_of(std::string_view id, std::string_view where);

/// throws DataError: absolute, or with a ".." in it.
void check_image_path(std::string_view image, std::string_view where);

}  // namespace trireme
