#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trireme {

/// A part of what the values of an embedding or a score follow from. docs/formats.md says what each is taken over.
enum class FingerprintPart {
  kWeights,
  kAdapterWeights,
  kAdapterConfiguration,
  kModelConfiguration,
  kTokenizer,
  kImageProcessor,
  kPixelLimits,
  kAlpha,
  kPrompt,
  kSystemPrompt,
  kRopeMode,
  kComputeDtype,
  kInstructions,
  kRecords,
  kPictures,
};
constexpr auto choice_names(FingerprintPart) {
  return std::to_array<std::pair<FingerprintPart, std::string_view>>(
      {{FingerprintPart::kWeights, "weights"},
       {FingerprintPart::kAdapterWeights, "adapter_weights"},
       {FingerprintPart::kAdapterConfiguration, "adapter_configuration"},
       {FingerprintPart::kModelConfiguration, "model_configuration"},
       {FingerprintPart::kTokenizer, "tokenizer"},
       {FingerprintPart::kImageProcessor, "image_processor"},
       {FingerprintPart::kPixelLimits, "pixel_limits"},
       {FingerprintPart::kAlpha, "alpha"},
       {FingerprintPart::kPrompt, "prompt"},
       {FingerprintPart::kSystemPrompt, "system_prompt"},
       {FingerprintPart::kRopeMode, "rope_mode"},
       {FingerprintPart::kComputeDtype, "compute_dtype"},
       {FingerprintPart::kInstructions, "instructions"},
       {FingerprintPart::kRecords, "records"},
       {FingerprintPart::kPictures, "pictures"}});
}

/// What a checkpoint's folder and an adapter's decide, whatever is asked of them.
inline constexpr std::array kFolderParts{FingerprintPart::kWeights,
                                         FingerprintPart::kAdapterWeights,
                                         FingerprintPart::kAdapterConfiguration,
                                         FingerprintPart::kModelConfiguration,
                                         FingerprintPart::kTokenizer,
                                         FingerprintPart::kImageProcessor};
/// What two vectors must have in common for their product to mean something.
inline constexpr std::array kComparableParts{FingerprintPart::kWeights,
                                             FingerprintPart::kAdapterWeights,
                                             FingerprintPart::kAdapterConfiguration,
                                             FingerprintPart::kModelConfiguration,
                                             FingerprintPart::kTokenizer,
                                             FingerprintPart::kImageProcessor,
                                             FingerprintPart::kPixelLimits,
                                             FingerprintPart::kAlpha,
                                             FingerprintPart::kPrompt,
                                             FingerprintPart::kSystemPrompt,
                                             FingerprintPart::kRopeMode};

/// What values follow from, part by part, so that a comparison can name the part that differs. A part is a short text:
/// 64 hex digits over something large, "none" where there is no such thing, the thing itself where it is short. Paths
/// and dates are in none. Parts that the values do not follow from (pixel limits where there are no pictures) are not
/// in it.
class Fingerprint {
 public:
  void set(FingerprintPart part, std::string value) { parts_[part] = std::move(value); }
  /// A long text, by its sha256.
  void set_hash_of(FingerprintPart part, std::string_view text);
  /// The other one's parts too; its value where both have one.
  void add(const Fingerprint& other);
  void drop(FingerprintPart part) { parts_.erase(part); }
  /// "" when it is not known.
  std::string_view get(FingerprintPart part) const;
  /// Nothing is known: a file of an older version, or made elsewhere.
  bool empty() const noexcept { return parts_.empty(); }

  /// {"weights":"..",..} in the order above, in one line: equal fingerprints give equal bytes.
  std::string json() const;
  /// throws DataError, at `where`: not what json() writes.
  static Fingerprint from_json(std::string_view json, std::string_view where);
  /// The same, for files that are read field by field.
  std::map<std::string, std::string> by_name() const;
  static Fingerprint from_names(const std::map<std::string, std::string>& values);
  /// 64 hex digits over all parts.
  std::string sha256() const;

  bool operator==(const Fingerprint&) const = default;

 private:
  std::map<FingerprintPart, std::string> parts_;
};

/// Of what follows from several: a part in which they differ is hashed over those that know it, in the order given.
Fingerprint combined(std::span<const Fingerprint> fingerprints);

/// Those of `among` that both know and that differ.
std::vector<FingerprintPart> differing_parts(const Fingerprint& a, const Fingerprint& b,
                                             std::span<const FingerprintPart> among);
/// Every part there is.
std::vector<FingerprintPart> all_fingerprint_parts();

/// "tokenizer, pixel limits"
std::string names_of(std::span<const FingerprintPart> parts);
/// "tokenizer, pixel limits differ (tokenizer 12ab34cd56ef, pixel limits 3136 to 6272 then and .. now)"
std::string difference_of(const Fingerprint& then, const Fingerprint& now, std::span<const FingerprintPart> parts);
/// "tokenizer 12ab34cd56ef, pixel limits 3136 to 1003520": their values in one fingerprint, hashes cut short.
std::string values_of(const Fingerprint& fingerprint, std::span<const FingerprintPart> parts);

}  // namespace trireme
