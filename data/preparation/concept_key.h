#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace trireme {

enum class Split { kTrain, kVal, kTest };
constexpr auto choice_names(Split) {
  return std::to_array<std::pair<Split, std::string_view>>(
      {{Split::kTrain, "train"}, {Split::kVal, "val"}, {Split::kTest, "test"}});
}

/// U+1F3FB light to U+1F3FF dark.
constexpr bool is_skin_tone(char32_t c) { return c >= 0x1F3FB && c <= 0x1F3FF; }

/// Lower-case hex code points joined by '-', without U+FE0F: "1f468-200d-1f680". One key for one emoji, whichever of
/// its forms a file uses.
std::string sequence_key(std::u32string_view code_points);

/// The same without U+200D: some makers of pictures leave the joiner out of their file names.
std::string joinerless_key(std::u32string_view code_points);

/// The concept that a sequence is a variant of: without skin tone, gender and hair signs, U+FE0F and U+200D, man and
/// woman written as person: "1f9d1-1f680" for any astronaut. The unit of the split, so that no variant of a test
/// concept is trained on. Empty for the female and the male sign by themselves.
std::string family_key(std::u32string_view code_points);

/// Lower case, no punctuation or symbols, single spaces, no leading a, an or the: "A “Fuji” apple." -> "fuji apple".
/// throws DataError: not UTF-8.
std::string normalise_caption(std::string_view caption, std::string_view where);

/// The first four bytes of sha256("v1" + key), big-endian, modulo 100: the same for ever, and for each key by itself,
/// so that other versions of the sources move no concept to another split.
int64_t split_bucket(std::string_view concept_key);
/// test below bucket 20, val below 30, else train.
Split split_of(std::string_view concept_key);

/// "1F468 200D 1F680", or with another separator. throws DataError: anything but hex code points.
std::u32string parse_code_points(std::string_view text, char separator, std::string_view where);

std::string to_utf8(std::u32string_view code_points);
/// throws DataError: not UTF-8.
std::u32string from_utf8(std::string_view text, std::string_view where);

}  // namespace trireme
