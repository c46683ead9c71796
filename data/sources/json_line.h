#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <simdjson.h>

namespace trireme {

/// One line of a jsonl file as an object. It lives in the calling thread's parser: until this thread's next call.
/// Taken as Python writes it: with NaN, numbers of any size and halves of surrogate pairs, which no other function here
/// takes for a value. throws DataError: not JSON (names what it is instead), not UTF-8, nested deeper than 32, not an
/// object.
simdjson::dom::object parse_json_line(std::string_view line, std::string_view where);

/// The value as the file has it, for messages: cut to 40 bytes, harmless to a terminal.
std::string shown(simdjson::dom::element element);

/// The string under `key`; null and an absent key are "". throws DataError: another type.
std::string text_or_empty(simdjson::dom::object object, std::string_view key, std::string_view where);

/// The string under `key`, which must be there and not be empty. throws DataError.
std::string required_text(simdjson::dom::object object, std::string_view key, std::string_view where);

/// task_id of an M-BEIR query. throws DataError: absent, or no integer.
int64_t task_of(simdjson::dom::object object, std::string_view where);

/// What a record holds; the names are M-BEIR's.
enum class Modality : uint8_t { kText, kImage, kImageText };
std::string_view modality_name(Modality modality);
/// throws DataError: neither text nor image; `keys` says what to fill in.
Modality modality_of(std::string_view text, std::string_view image, std::string_view keys, std::string_view where);

/// M-BEIR's modality field against what the record holds, `has`. Returns what instructions go by: `has`, and where the
/// field contradicts it, what the field says, as in UniIR's reference code, which never compares (public data have
/// queries of "image,text" without a text). An absent field says nothing; "image" may have a text too.
/// throws DataError: the name of no modality; a contradiction, unless `mismatch_allowed`.
Modality check_modality(simdjson::dom::object object, std::string_view key, Modality has, bool mismatch_allowed,
                        std::string_view where);

/// throws DataError: an id that is empty, or holds a zero character, which HDF5 ends a string at.
void check_id(std::string_view id, std::string_view where);

/// The dataset of an M-BEIR id "dataset:number". throws DataError.
int64_t dataset_of(std::string_view id, std::string_view where);

/// throws DataError: absolute, or with a ".." in it.
void check_image_path(std::string_view image, std::string_view where);

}  // namespace trireme
