#include "models/model_config.h"

#include <array>
#include <cmath>
#include <string_view>

#include "core/error.h"
#include "core/io/quote.h"
#include "models/json_object.h"

namespace trireme {
namespace {

// Far above any model, far below what could overflow a product of two or exhaust memory by a list of layers.
constexpr int64_t kMaxSize = int64_t{1} << 24;
constexpr int64_t kMaxLayers = 4096;

/// One (sub-)section of config.json. transformers 4 leaves out of a nested section whatever equals its class's default
/// (fine-tuned checkpoints of that time have vision_config: {"model_type": ..} and no sizes); only there a missing
/// field takes that default. Everywhere else it is an error.
struct Section {
  JsonObject fields;
  bool has_defaults = false;

  int64_t size(std::string_view key, int64_t transformers4_default, int64_t max = kMaxSize) const {
    if (has_defaults && !fields.has(key)) return transformers4_default;
    const int64_t value = fields.get<int64_t>(key);
    TRIREME_CHECK(value > 0 && value <= max, DataError, fields.file(), "{} must be in 1..{}; got {}; correct the file.",
                  fields.path_of(key), max, value);
    return value;
  }

  double positive(std::string_view key, double transformers4_default) const {
    if (has_defaults && !fields.has(key)) return transformers4_default;
    const double value = fields.get<double>(key);
    TRIREME_CHECK(value > 0, DataError, fields.file(), "{} must be above 0; got {}; correct the file.",
                  fields.path_of(key), value);
    return value;
  }

  /// patch sizes: an integer, or a list of equal ones as newer files allow.
  int64_t square_size(std::string_view key, int64_t transformers4_default) const {
    if (!fields.is_array(key)) return size(key, transformers4_default);
    const auto sides = fields.get<std::vector<int64_t>>(key);
    const bool square =
        !sides.empty() && std::all_of(sides.begin(), sides.end(), [&](int64_t s) { return s == sides[0]; });
    TRIREME_CHECK(square && sides[0] > 0 && sides[0] <= kMaxSize, DataError, fields.file(),
                  "{} must be a positive size, the same on every axis; got {}; other patches are not supported.",
                  fields.path_of(key), fields.shown(key));
    return sides[0];
  }

  void require_activation(std::string_view expected) const {
    const std::string activation = fields.find<std::string>("hidden_act").value_or(std::string(expected));
    TRIREME_CHECK(activation == expected, DataError, fields.file(),
                  "{} must be \"{}\" for this family; got {}; other activations are not supported.",
                  fields.path_of("hidden_act"), expected, quote_text(activation));
  }
};

constexpr std::array kFamilies{ModelFamily::kQwen2, ModelFamily::kQwen2Vl, ModelFamily::kQwen25Vl};

ModelFamily read_family(const JsonObject& root) {
  const std::string type = root.get<std::string>("model_type");
  std::string known;
  for (const ModelFamily family : kFamilies) {
    if (family_name(family) == type) return family;
    known += (known.empty() ? "" : ", ") + family_name(family);
  }
  throw DataError(root.file(), fmt::format("model_type must be one of {}; got {}; take a checkpoint of a known family.",
                                           known, quote_text(type)));
}

void refuse_unless_off(const JsonObject& section, std::string_view key, std::string_view advice) {
  TRIREME_CHECK(section.is_off(key), DataError, section.file(), "{} must be off; got {}; {}.", section.path_of(key),
                section.shown(key), advice);
}

/// What would change the decoder's arithmetic in a way it does not know.
void refuse_unknown_arithmetic(const JsonObject& text) {
  refuse_unless_off(text, "quantization_config", "take the checkpoint in bfloat16, float16 or float32");
  refuse_unless_off(text, "use_sliding_window", "sliding-window attention is not supported");
  TRIREME_CHECK(text.find<bool>("is_causal").value_or(true), DataError, text.file(),
                "{} must be true; got false; decoders with two-way attention are not supported.",
                text.path_of("is_causal"));
  for (const std::string& type :
       text.find<std::vector<std::string>>("layer_types").value_or(std::vector<std::string>{}))
    TRIREME_CHECK(type == "full_attention", DataError, text.file(),
                  "{} must all be \"full_attention\"; got {}; other attention is not supported.",
                  text.path_of("layer_types"), quote_text(type));
}

/// rope_parameters (transformers 5), rope_scaling and rope_theta (before); transformers lets rope_scaling win.
void read_rope(const Section& text, ModelFamily family, DecoderConfig& decoder) {
  const bool text_only = family == ModelFamily::kQwen2;
  const std::string_view object_name = text.fields.is_off("rope_scaling") ? "rope_parameters" : "rope_scaling";
  const auto rope = text.fields.find<JsonObject>(object_name);

  const auto outer_theta = text.fields.find<double>("rope_theta");
  const auto inner_theta = rope ? rope->find<double>("rope_theta") : std::nullopt;
  TRIREME_CHECK(!outer_theta || !inner_theta || *outer_theta == *inner_theta, DataError, text.fields.file(),
                "{} and {} must agree; got {} and {}; correct the file.", text.fields.path_of("rope_theta"),
                rope->path_of("rope_theta"), *outer_theta, *inner_theta);
  decoder.rope_theta = inner_theta ? *inner_theta : text.positive("rope_theta", 1e6);
  TRIREME_CHECK(decoder.rope_theta > 0, DataError, text.fields.file(), "{} must be above 0; got {}; correct the file.",
                rope->path_of("rope_theta"), decoder.rope_theta);

  const auto rope_in = [&](const JsonObject& object) {
    const double rotated = object.find<double>("partial_rotary_factor").value_or(1.0);
    TRIREME_CHECK(rotated == 1.0, DataError, object.file(), "{} must be 1; got {}; partial rotation is not supported.",
                  object.path_of("partial_rotary_factor"), rotated);
  };
  rope_in(text.fields);
  if (rope) rope_in(*rope);
  for (const std::string_view key : {"type", "rope_type"}) {
    if (!rope || !rope->has(key)) continue;
    const std::string type = rope->get<std::string>(key);
    TRIREME_CHECK(type == "default" || (type == "mrope" && !text_only), DataError, rope->file(),
                  "{} must be \"default\"{}; got {}; this scaling of positions is not supported.", rope->path_of(key),
                  text_only ? "" : " or \"mrope\"", quote_text(type));
  }
  if (text_only) return;

  const bool given = rope && rope->has("mrope_section");
  // What transformers assumes for a file that does not say.
  decoder.mrope_section = given ? rope->get<std::vector<int64_t>>("mrope_section") : std::vector<int64_t>{16, 24, 24};
  const std::string name = (rope ? rope->path_of("mrope_section") : "rope_parameters.mrope_section") +
                           std::string(given ? "" : " (by default [16, 24, 24])");
  const auto& sections = decoder.mrope_section;
  TRIREME_CHECK(sections.size() == 3, DataError, text.fields.file(),
                "{} must have three sections (time, height, width); got {}; correct the file.", name, sections.size());
  const bool in_range =
      std::all_of(sections.begin(), sections.end(), [](int64_t s) { return s >= 0 && s <= kMaxSize; });
  TRIREME_CHECK(in_range && sections[0] + sections[1] + sections[2] == decoder.head_dim / 2, DataError,
                text.fields.file(),
                "{} must be counts that sum to head_dim / 2; got [{}] and head_dim {}; correct the file.", name,
                fmt::join(sections, ", "), decoder.head_dim);
}

int64_t read_head_dim(const Section& text, ModelFamily family, const DecoderConfig& decoder) {
  const JsonObject& fields = text.fields;
  if (!fields.has("head_dim")) {
    TRIREME_CHECK(decoder.hidden_size % decoder.heads == 0, DataError, fields.file(),
                  "{} must be a multiple of num_attention_heads; got {} and {}; correct the file.",
                  fields.path_of("hidden_size"), decoder.hidden_size, decoder.heads);
    return decoder.hidden_size / decoder.heads;
  }
  const int64_t head_dim = text.size("head_dim", 0);
  // Of the three families only Qwen2 lets the heads together be wider or narrower than the hidden state.
  TRIREME_CHECK(family == ModelFamily::kQwen2 || head_dim * decoder.heads == decoder.hidden_size, DataError,
                fields.file(), "{} * num_attention_heads must equal hidden_size; got {} * {} and {}; correct the file.",
                fields.path_of("head_dim"), head_dim, decoder.heads, decoder.hidden_size);
  return head_dim;
}

DecoderConfig read_decoder(const Section& text, ModelFamily family) {
  const JsonObject& fields = text.fields;
  refuse_unknown_arithmetic(fields);
  text.require_activation("silu");

  DecoderConfig decoder;
  decoder.vocab_size = text.size("vocab_size", 152'064);
  decoder.hidden_size = text.size("hidden_size", 8192);
  decoder.intermediate_size = text.size("intermediate_size", 29'568);
  decoder.layers = text.size("num_hidden_layers", 80, kMaxLayers);
  decoder.heads = text.size("num_attention_heads", 64);
  decoder.head_dim = read_head_dim(text, family, decoder);
  TRIREME_CHECK(decoder.head_dim % 2 == 0, DataError, fields.file(),
                "{} must be even for rotary positions; got {}; correct the file.", fields.path_of("head_dim"),
                decoder.head_dim);
  // transformers reads an explicit null as one K/V head per query head.
  const std::vector<std::string> keys = fields.keys();
  const bool null_kv =
      !fields.has("num_key_value_heads") && std::find(keys.begin(), keys.end(), "num_key_value_heads") != keys.end();
  decoder.kv_heads = null_kv ? decoder.heads : text.size("num_key_value_heads", 8);
  TRIREME_CHECK(decoder.heads % decoder.kv_heads == 0, DataError, fields.file(),
                "{} must divide num_attention_heads; got {} and {}; correct the file.",
                fields.path_of("num_key_value_heads"), decoder.kv_heads, decoder.heads);
  decoder.rms_norm_eps = text.positive("rms_norm_eps", 1e-5);
  read_rope(text, family, decoder);
  return decoder;
}

VisionConfig read_vision(const Section& section, ModelFamily family, int64_t decoder_hidden_size) {
  const JsonObject& fields = section.fields;
  VisionConfig vision;
  vision.depth = section.size("depth", 32, kMaxLayers);
  vision.heads = section.size("num_heads", 16);
  vision.patch_size = section.square_size("patch_size", 14);
  vision.merge_size = section.size("spatial_merge_size", 2);
  vision.temporal_patch_size = section.square_size("temporal_patch_size", 2);
  // The hub's files say in_chans, which transformers does not read: its in_channels is 3 unless given.
  vision.in_channels = fields.has("in_channels") ? section.size("in_channels", 3) : 3;
  const int64_t in_chans = fields.find<int64_t>("in_chans").value_or(vision.in_channels);
  TRIREME_CHECK(in_chans == vision.in_channels, DataError, fields.file(),
                "{} and in_channels (3 unless given) must agree; got {} and {}; correct the file.",
                fields.path_of("in_chans"), in_chans, vision.in_channels);

  std::string_view width_name, output_name;
  if (family == ModelFamily::kQwen2Vl) {
    width_name = "embed_dim";
    output_name = "hidden_size";
    vision.activation = "quick_gelu";
    vision.embed_dim = section.size(width_name, 1280);
    vision.out_hidden_size = section.size(output_name, 3584);
    const double mlp_ratio = section.positive("mlp_ratio", 4);
    const double mlp_width = mlp_ratio * static_cast<double>(vision.embed_dim);
    TRIREME_CHECK(mlp_width >= 1 && mlp_width <= kMaxSize, DataError, fields.file(),
                  "{} * embed_dim must be in 1..{}; got {} * {}; correct the file.", fields.path_of("mlp_ratio"),
                  kMaxSize, mlp_ratio, vision.embed_dim);
    vision.intermediate_size = static_cast<int64_t>(mlp_width);
  } else {
    width_name = "hidden_size";
    output_name = "out_hidden_size";
    vision.activation = "silu";
    vision.embed_dim = section.size(width_name, 3584);
    vision.out_hidden_size = section.size(output_name, 3584);
    vision.intermediate_size = section.size("intermediate_size", 3420);
    vision.window_size = section.size("window_size", 112);
    TRIREME_CHECK(vision.window_size >= vision.patch_size * vision.merge_size, DataError, fields.file(),
                  "{} must hold at least one merged patch of {} pixels; got {}; correct the file.",
                  fields.path_of("window_size"), vision.patch_size * vision.merge_size, vision.window_size);
    const bool default_blocks = section.has_defaults && !fields.has("fullatt_block_indexes");
    vision.full_attention_blocks = default_blocks ? std::vector<int64_t>{7, 15, 23, 31}
                                                  : fields.get<std::vector<int64_t>>("fullatt_block_indexes");
    for (const int64_t block : vision.full_attention_blocks)
      TRIREME_CHECK(block >= 0 && block < vision.depth, DataError, fields.file(),
                    "{} must be block numbers below depth; got {} and {}; correct the file.",
                    fields.path_of("fullatt_block_indexes"), block, vision.depth);
  }
  section.require_activation(vision.activation);
  TRIREME_CHECK(
      vision.embed_dim % vision.heads == 0 && vision.embed_dim / vision.heads % 4 == 0, DataError, fields.file(),
      "{} / num_heads must be a multiple of 4 for rotary positions on two axes; got {} / {}; correct the file.",
      fields.path_of(width_name), vision.embed_dim, vision.heads);
  TRIREME_CHECK(vision.out_hidden_size == decoder_hidden_size, DataError, fields.file(),
                "{} must equal the decoder's hidden_size; got {} and {}; correct the file.",
                fields.path_of(output_name), vision.out_hidden_size, decoder_hidden_size);
  if (const auto rope = fields.find<JsonObject>("rope_parameters")) {
    const std::string type = rope->find<std::string>("rope_type").value_or("axial");
    const double theta = rope->find<double>("rope_theta").value_or(10'000.0);
    TRIREME_CHECK(type == "axial" && theta == 10'000.0, DataError, fields.file(),
                  "{} must be axial with theta 10000; got {} with {}; other rotations of the vision tower are not "
                  "supported.",
                  fields.path_of("rope_parameters"), quote_text(type), theta);
  }
  return vision;
}

/// -1 when the file does not say.
int64_t read_token_id(const JsonObject& root, const JsonObject& text, std::string_view key) {
  const JsonObject& owner = root.has(key) ? root : text;
  return owner.find<int64_t>(key).value_or(-1);
}

std::filesystem::path config_file(const std::filesystem::path& folder) {
  std::error_code ignored;
  TRIREME_CHECK(std::filesystem::is_directory(folder, ignored), DataError, "model",
                "a checkpoint must be a folder; got {}, which is none; check the path.", folder.string());
  const auto file = folder / "config.json";
  const bool adapter = std::filesystem::exists(folder / "adapter_config.json", ignored);
  TRIREME_CHECK(std::filesystem::exists(file, ignored), DataError, "model",
                "a checkpoint folder must hold config.json; got {} without one{}; check the path.", folder.string(),
                adapter ? " (it holds adapter_config.json: an adapter, not a model)" : "");
  return file;
}

}  // namespace

std::string family_name(ModelFamily family) {
  switch (family) {
    case ModelFamily::kQwen2:
      return "qwen2";
    case ModelFamily::kQwen2Vl:
      return "qwen2_vl";
    case ModelFamily::kQwen25Vl:
      return "qwen2_5_vl";
  }
  TRIREME_ASSERT(false, "family {}", static_cast<int>(family));
}

ModelConfig read_model_config(const std::filesystem::path& model_folder) {
  const JsonObject root = JsonObject::read(config_file(model_folder));
  ModelConfig config;
  config.family = read_family(root);
  refuse_unless_off(root, "quantization_config", "take the checkpoint in bfloat16, float16 or float32");

  const bool by_transformers4 = root.find<std::string>("transformers_version").value_or("").starts_with("4.");
  const auto nested = config.family == ModelFamily::kQwen2 ? std::nullopt : root.find<JsonObject>("text_config");
  const Section text{nested.value_or(root), nested.has_value() && by_transformers4};
  config.decoder = read_decoder(text, config.family);
  config.decoder.tie_word_embeddings = root.find<bool>("tie_word_embeddings").value_or(false) ||
                                       text.fields.find<bool>("tie_word_embeddings").value_or(false);
  for (const JsonObject* section : {&text.fields, &root})
    for (const std::string_view key : {"torch_dtype", "dtype"})
      if (const auto dtype = section->find<std::string>(key)) config.dtype = *dtype;
  if (config.family == ModelFamily::kQwen2) return config;

  const Section vision{root.get<JsonObject>("vision_config"), by_transformers4};
  config.vision = read_vision(vision, config.family, config.decoder.hidden_size);
  config.image_token_id = read_token_id(root, text.fields, "image_token_id");
  config.video_token_id = read_token_id(root, text.fields, "video_token_id");
  config.vision_start_token_id = read_token_id(root, text.fields, "vision_start_token_id");
  config.vision_end_token_id = read_token_id(root, text.fields, "vision_end_token_id");
  TRIREME_CHECK(config.image_token_id >= 0 && config.image_token_id < config.decoder.vocab_size, DataError, root.file(),
                "image_token_id must be a token of the vocabulary; got {} and vocab_size {}; correct the file.",
                config.image_token_id, config.decoder.vocab_size);
  return config;
}

}  // namespace trireme
