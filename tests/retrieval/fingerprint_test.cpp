#include <functional>

#include "answering/fingerprint_of.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "retrieval/checkpoint_embedder.h"
#include "retrieval/kept_embeddings.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::EditableFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using enum FingerprintPart;
using Json = EditableFolder::Json;
using Parts = std::vector<FingerprintPart>;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

RecordModelConfig config_of(const fs::path& model, std::optional<fs::path> adapter) {
  RecordModelConfig config;
  config.path = model;
  config.adapter = std::move(adapter);
  return config;
}

/// The golden checkpoint and its adapter, in copies that a test may change.
struct Editable {
  EditableFolder model{kGolden / "model"}, adapter{kGolden / "adapter"};
  RecordModelConfig config = config_of(model.path(), adapter.path());

  Fingerprint fingerprint() const {
    SelfCommunicator self;
    CheckpointEmbedder checkpoint(config);
    checkpoint.load(self);
    return checkpoint.info(self).fingerprint;
  }
};

struct Change {
  std::string name;
  Parts parts;  ///< that must be named, and no others
  std::function<void(Editable&)> make;
};

void set(const EditableFolder& folder, std::string_view file, std::string key, Json value) {
  folder.edit_json(file, [&](Json& json) { json[key] = value; });
}

std::vector<Change> changes() {
  const auto model = [](std::string key, Json value) {
    return [=](Editable& e) { set(e.model, "config.json", key, value); };
  };
  const auto adapter = [](std::string key, Json value) {
    return [=](Editable& e) { set(e.adapter, "adapter_config.json", key, value); };
  };
  const auto images = [](std::string key, Json value) {
    return [=](Editable& e) { set(e.model, "preprocessor_config.json", key, value); };
  };
  return {
      {"nothing", {}, [](Editable&) {}},
      {"weights",
       {kWeights},
       [](Editable& e) {
         e.model.edit_tensors("model.safetensors", [](auto& tensors) { tensors.begin()->second.view(-1)[0].fill_(9); });
       }},
      {"adapter_weights",
       {kAdapterWeights},
       [](Editable& e) {
         e.adapter.edit_tensors("adapter_model.safetensors",
                                [](auto& tensors) { tensors.begin()->second.view(-1)[0].fill_(9); });
       }},
      {"no_adapter", {kAdapterWeights, kAdapterConfiguration}, [](Editable& e) { e.config.adapter.reset(); }},
      {"lora_alpha", {kAdapterConfiguration}, adapter("lora_alpha", 64)},
      {"use_rslora", {kAdapterConfiguration}, adapter("use_rslora", true)},
      {"alpha_pattern", {kAdapterConfiguration}, adapter("alpha_pattern", {{"q_proj", 16}})},
      {"same_alpha_by_pattern", {}, adapter("alpha_pattern", {{"q_proj", 8}})},
      {"lora_dropout", {}, adapter("lora_dropout", 0.1)},
      {"base_model_name", {}, adapter("base_model_name_or_path", "elsewhere")},
      {"rope_theta", {kModelConfiguration}, model("rope_theta", 10000.0)},
      {"rms_norm_eps", {kModelConfiguration}, model("rms_norm_eps", 1e-5)},
      {"transformers_version", {}, model("transformers_version", "5.0.0")},
      {"tokenizer",
       {kTokenizer},
       [](Editable& e) { e.model.write("tokenizer.json", read_text_file(e.model.path() / "tokenizer.json") + "\n"); }},
      {"max_pixels", {kPixelLimits}, images("max_pixels", 6272)},
      {"image_mean", {kImageProcessor}, images("image_mean", {0.5, 0.5, 0.5})},
      {"rescale_factor", {kImageProcessor}, images("rescale_factor", 0.5)},
      {"max_pixels_by_option", {kPixelLimits}, [](Editable& e) { e.config.max_pixels = 6272; }},
      {"same_max_pixels_by_option", {}, [](Editable& e) { e.config.max_pixels = 12544; }},
      {"alpha", {kAlpha}, [](Editable& e) { e.config.alpha = AlphaMode::kDrop; }},
      {"system_prompt", {kSystemPrompt}, [](Editable& e) { e.config.system_prompt = "You are a search engine."; }},
      {"prompt", {kPrompt}, [](Editable& e) { e.config.prompt = PromptForm::kChat; }},
      {"text_tokens", {kPrompt}, [](Editable& e) { e.config.text_tokens = 7; }},
      {"rope_mode", {kRopeMode}, [](Editable& e) { e.config.rope_mode = RopeMode::kOned; }},
      {"dtype", {kComputeDtype}, [](Editable& e) { e.config.dtype = ComputeDtype::kBfloat16; }},
      {"batch_tokens", {}, [](Editable& e) { e.config.batch_tokens = 100; }},
  };
}

class FingerprintOfChange : public ::testing::TestWithParam<Change> {};

TEST_P(FingerprintOfChange, NamesThePartAndNoOther) {
  const Editable before;  // at another path
  Editable after;
  GetParam().make(after);
  const Fingerprint a = before.fingerprint(), b = after.fingerprint();
  EXPECT_EQ(differing_parts(a, b, all_fingerprint_parts()), GetParam().parts);
  EXPECT_EQ(a == b, GetParam().parts.empty());
}
INSTANTIATE_TEST_SUITE_P(Every, FingerprintOfChange, ::testing::ValuesIn(changes()),
                         [](const auto& change) { return change.param.name; });

/// Embeddings of a few M-BEIR queries and of records with pictures, kept in a folder.
class Kept : public ::testing::Test {
 protected:
  Kept() {
    fs::create_directories(at("in"));
    fs::copy(kGolden / "images", at("in/images"));
    // A byte behind the end of a PNG: it can be changed without anything to see, or a change of size.
    folder_.write("in/images/wide.png", read_text_file(kGolden / "images/wide.png") + "a");
    folder_.write("in/records.jsonl",
                  "{\"id\": \"a\", \"txt\": \"one\", \"img_path\": \"wide.png\"}\n"
                  "{\"id\": \"b\", \"txt\": \"two\"}\n");
    folder_.write("queries.jsonl",
                  "{\"qid\": \"9:1\", \"query_txt\": \"an apple\", \"query_img_path\": null, \"query_modality\": "
                  "\"text\", \"task_id\": 1, \"pos_cand_list\": [\"9:2\"]}\n");
    write_instructions("Find it.");
    embedder_.load(self_);
  }
  fs::path at(const fs::path& name) const { return folder_.path() / name; }
  void write_instructions(const std::string& prompt) const {
    folder_.write("instructions.tsv",
                  "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\n"
                  "text\ttext\ttoys\t9\t" +
                      prompt + "\n");
  }

  KeptFile keep(Communicator& communicator, const fs::path& in = "in") {
    const RecordFile records(at(in / "records.jsonl"), {});
    return keep_embeddings(at("kept.h5"), {records, at(in / "images")}, embedder_,
                           {.info = embedder_.info(self_), .config_sha256 = "options"}, communicator, {});
  }
  KeptFile keep(const fs::path& in = "in") { return keep(self_, in); }
  KeptFile keep_queries() {
    RecordOptions options;
    options.instructions.emplace(at("instructions.tsv"));
    const RecordFile records(at("queries.jsonl"), options);
    return keep_embeddings(at("queries.h5"), {records}, embedder_,
                           {.info = embedder_.info(self_), .config_sha256 = "options"}, self_, {});
  }

  test::TempFolder folder_;
  SelfCommunicator self_;
  CheckpointEmbedder embedder_{config_of(kGolden / "model", std::nullopt)};
};

TEST_F(Kept, EmbeddingsAreUsedAgainHereAndInACopy) {
  const KeptFile first = keep();
  EXPECT_FALSE(first.reused);
  EXPECT_EQ(first.replaced, "");
  const KeptFile again = keep();
  EXPECT_TRUE(again.reused);
  EXPECT_EQ(again.fingerprint, first.fingerprint);
  EXPECT_EQ(again.fingerprint, EmbeddingsReader(at("kept.h5")).info().fingerprint);
  fs::copy(at("in"), at("copy"), fs::copy_options::recursive);
  EXPECT_TRUE(keep("copy").reused) << "stamps differ and contents do not";
  fs::last_write_time(at("in/images/wide.png"), fs::file_time_type::clock::now());
  EXPECT_TRUE(keep().reused);
}

TEST_F(Kept, APictureThatChangedWithItsSizeAndTimeIsNoticed) {
  keep();
  const fs::path picture = at("in/images/wide.png");
  const auto time = fs::last_write_time(picture);
  std::string bytes = read_text_file(picture);
  bytes.back() = 'b';
  folder_.write("in/images/wide.png", bytes);
  fs::last_write_time(picture, time);
  const KeptFile after = keep();
  EXPECT_FALSE(after.reused);
  EXPECT_THAT(after.replaced, HasSubstr("pictures differ"));
  EXPECT_TRUE(keep().reused);
}

TEST_F(Kept, RecordsAreTheirIdsTextsAndPaths) {
  keep();
  const std::string records = read_text_file(at("in/records.jsonl"));
  folder_.write("in/records.jsonl",
                "{\"txt\":\"one\",\"id\":\"a\",\"img_path\":\"wide.png\",\"more\":1}\n"
                "{\"id\":\"b\",\"txt\":\"two\",\"img_path\":null}\n");
  EXPECT_TRUE(keep().reused) << "the same records, written otherwise";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"two", "too"}, {"\"b\"", "\"c\""}, {"wide.png", "small.png"}}) {
    std::string changed = records;
    changed.replace(changed.find(from), from.size(), to);
    folder_.write("in/records.jsonl", changed);
    EXPECT_THAT(keep().replaced, HasSubstr("records differ")) << to;
  }
}

TEST_F(Kept, InstructionsAreAPartOfTheirOwn) {
  EXPECT_FALSE(keep_queries().reused);
  write_instructions("Find it!");
  EXPECT_THAT(keep_queries().replaced, HasSubstr("instructions differ"));
  EXPECT_TRUE(keep_queries().reused);
}

TEST_F(Kept, RanksAgree) {
  keep();
  const std::string alone = read_text_file(at("kept.h5"));
  for (const int64_t ranks : {2, 3}) {
    run_ranks(ranks, [&](Communicator& communicator) { EXPECT_TRUE(keep(communicator).reused); });
    fs::remove(at("kept.h5"));
    run_ranks(ranks, [&](Communicator& communicator) { EXPECT_FALSE(keep(communicator).reused); });
    EXPECT_EQ(EmbeddingsReader(at("kept.h5")).info().fingerprint, keep().fingerprint);
    EXPECT_TRUE(keep().reused);
  }
}

TEST_F(Kept, TextsDoNotFollowFromPixelLimits) {
  const KeptFile texts = keep_queries(), pictures = keep();
  EXPECT_EQ(texts.fingerprint.get(kPixelLimits), "");
  EXPECT_EQ(texts.fingerprint.get(kPictures), "");
  EXPECT_EQ(pictures.fingerprint.get(kPixelLimits), "3136 to 12544");
  EXPECT_EQ(pictures.fingerprint.get(kInstructions), "none");
}

}  // namespace
}  // namespace trireme
