#include "models/weights/hub_checkpoint.h"

#include <algorithm>

#include <ATen/ops/equal.h>

#include "core/error.h"
#include "core/io/hash.h"
#include "core/io/quote.h"
#include "core/shape.h"

namespace trireme {
namespace {

constexpr std::string_view kHead = "lm_head.weight", kEmbeddings = "model.embed_tokens.weight";
constexpr std::size_t kShownNames = 3;

SafetensorsFolder open_weights(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto present = [&](std::string_view file) { return std::filesystem::exists(folder / file, ignored); };
  const bool safetensors = present("model.safetensors") || present("model.safetensors.index.json");
  const bool pickled = present("pytorch_model.bin") || present("pytorch_model.bin.index.json");
  TRIREME_CHECK(safetensors || !pickled, DataError, folder.string(),
                "weights must be safetensors; got pytorch_model.bin only; convert it: "
                "AutoModel.from_pretrained(..).save_pretrained(..) in transformers.");
  return SafetensorsFolder(folder);
}

void require_weight_dtype(const std::filesystem::path& folder, const SafetensorsEntry& entry) {
  const bool known = entry.dtype == c10::kBFloat16 || entry.dtype == c10::kHalf || entry.dtype == c10::kFloat;
  TRIREME_CHECK(known, DataError, folder.string(),
                "weights must be bfloat16, float16 or float32; got {} in {}; convert the checkpoint.",
                quote_text(entry.name), dtype_name(entry.dtype));
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

/// cost  one pass over both, up to the first block of rows that differs.
bool same_values(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.scalar_type() == b.scalar_type()) return at::equal(a, b);
  constexpr int64_t kBlockRows = 4096;
  for (int64_t begin = 0; begin < a.size(0); begin += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, a.size(0) - begin);
    const auto block = [&](const torch::Tensor& x) { return x.narrow(0, begin, rows).to(torch::kFloat32); };
    if (!at::equal(block(a), block(b))) return false;
  }
  return true;
}

/// The name that starts most like `wanted`; of a sorted set that is one of its two neighbours.
std::string nearest_name(const std::map<std::string, std::string, std::less<>>& names, std::string_view wanted) {
  const auto above = names.lower_bound(wanted);
  const std::string above_name = above == names.end() ? "" : above->second;
  if (above == names.begin()) return above_name;
  const auto below = std::prev(above);
  const bool take_above =
      above != names.end() && common_prefix(above->first, wanted) > common_prefix(below->first, wanted);
  return take_above ? above_name : below->second;
}

}  // namespace

HubCheckpoint::HubCheckpoint(const std::filesystem::path& folder)
    : path_(folder), config_(read_model_config(folder)), files_(open_weights(folder)) {
  for (const std::string& name : files_.names()) {
    std::string canonical = canonical_name(name);
    if (canonical.ends_with(".inv_freq")) {
      buffers_.push_back(name);
      continue;
    }
    require_weight_dtype(path_, *files_.find(name));
    if (naming_of(name) != TensorNaming::kOld) naming_ = naming_of(name);
    const auto [known, inserted] = file_name_of_.emplace(std::move(canonical), name);
    TRIREME_CHECK(inserted, DataError, path_.string(),
                  "a tensor must be in the files once; got {} and {}, which name the same; save the checkpoint again.",
                  quote_text(known->second), quote_text(name));
  }
  settle_head();
}

/// Source: PreTrainedModel.tie_weights of transformers 5.
void HubCheckpoint::settle_head() {
  DecoderConfig& decoder = config_.decoder;
  const auto head = file_name_of_.find(kHead);
  if (head == file_name_of_.end()) {
    TRIREME_CHECK(decoder.tie_word_embeddings || naming_ == TensorNaming::kBaseModel, DataError, path_.string(),
                  "an untied head (tie_word_embeddings false) must be in the files as {}; got none; complete the "
                  "checkpoint, or set tie_word_embeddings if the head is tied.",
                  kHead);
    return;
  }
  const std::string name = head->second;
  const at::IntArrayRef shape = files_.find(name)->shape;
  const std::vector<int64_t> expected{decoder.vocab_size, decoder.hidden_size};
  TRIREME_CHECK(shape == at::IntArrayRef(expected), ShapeError, path_.string(),
                "{} must have shape {} (vocab_size, hidden_size of config.json); got {}; config.json and weights must "
                "be of one model.",
                name, shape_string(expected), shape_string(shape));
  if (!decoder.tie_word_embeddings) return;
  const auto embeddings = file_name_of_.find(kEmbeddings);
  if (embeddings == file_name_of_.end()) {
    file_name_of_.emplace(kEmbeddings, name);
    file_name_of_.erase(head);
    return;
  }
  if (files_.find(embeddings->second)->shape != expected) return;  // take() says so
  if (same_values(files_.tensor(name), files_.tensor(embeddings->second))) {
    tied_copy_ = name;
    file_name_of_.erase(head);
    return;
  }
  untied_by_files_ = true;
  decoder.tie_word_embeddings = false;
}

std::vector<std::string> HubCheckpoint::unused() const {
  std::vector<std::string> unused;
  if (!buffers_.empty()) {
    const std::string more = buffers_.size() == 1 ? "" : fmt::format(" and {} like it", buffers_.size() - 1);
    unused.push_back(fmt::format("{}{} (made anew from config.json)", quote_text(buffers_.front()), more));
  }
  if (tied_copy_) unused.push_back(fmt::format("{} (a copy of the embeddings, to which it is tied)", *tied_copy_));
  if (has(kHead) && !taken_.empty() && !taken_.contains(kHead))
    unused.push_back(fmt::format("{} (nothing here asks for the vocabulary's scores)", kHead));
  return unused;
}

bool HubCheckpoint::has(std::string_view canonical_name) const noexcept {
  return file_name_of_.find(canonical_name) != file_name_of_.end();
}

const std::string& HubCheckpoint::file_name_of(std::string_view canonical_name) const {
  const auto found = file_name_of_.find(canonical_name);
  TRIREME_CHECK(found != file_name_of_.end(), DataError, path_.string(),
                "a {} checkpoint must hold the tensor {}; got {} others, the nearest {}; config.json and "
                "weights must be of one complete model.",
                family_name(config_.family), canonical_name, file_name_of_.size(),
                file_name_of_.empty() ? "none" : quote_text(nearest_name(file_name_of_, canonical_name)));
  return found->second;
}

const SafetensorsEntry& HubCheckpoint::entry(std::string_view canonical_name) const {
  return *files_.find(file_name_of(canonical_name));
}

std::vector<std::string> HubCheckpoint::names() const {
  std::vector<std::string> names;
  names.reserve(file_name_of_.size());
  for (const auto& [canonical, name] : file_name_of_) names.push_back(canonical);
  return names;
}

torch::Tensor HubCheckpoint::take(std::string_view canonical_name, at::IntArrayRef expected_shape) {
  const std::string& name = file_name_of(canonical_name);
  const at::IntArrayRef shape = files_.find(name)->shape;
  TRIREME_CHECK(shape == expected_shape, ShapeError, path_.string(),
                "{} must have shape {} by config.json; got {}; config.json and weights must be of one model.", name,
                shape_string(expected_shape), shape_string(shape));
  taken_.emplace(canonical_name);
  return files_.tensor(name);
}

void HubCheckpoint::require_all_taken() const {
  std::vector<std::string> surplus;
  for (const auto& [canonical, name] : file_name_of_)
    if (canonical != kHead && !taken_.contains(canonical)) surplus.push_back(quote_text(name));
  if (surplus.empty()) return;
  const std::size_t count = surplus.size();
  const std::size_t shown = std::min(count, kShownNames);
  throw DataError(path_.string(),
                  fmt::format("the files must hold only tensors of a {} model; got {} more: {}{}; config.json and "
                              "weights must be of one model.",
                              family_name(config_.family), count,
                              fmt::join(surplus.begin(), surplus.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                              shown < count ? ", .." : ""));
}

std::string HubCheckpoint::weights_sha256() const {
  const auto files = weight_files();
  return sha256_hex_of_files(files);
}

}  // namespace trireme
