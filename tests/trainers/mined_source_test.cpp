#include "trainers/mined_source.h"

#include <sstream>

#include "core/console.h"
#include "core/distributed/self.h"
#include "core/distributed/thread.h"
#include "core/io/file.h"
#include "retrieval/checkpoint_embedder.h"
#include "tests/support/editable_folder.h"
#include "tests/support/expect_error.h"

namespace trireme {
namespace {

namespace fs = std::filesystem;
using test::EditableFolder;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const fs::path kGolden = fs::path(TRIREME_TEST_DIR) / "golden/embed";

/// What a file mined with the golden checkpoint and its adapter says of them.
EmbeddingsInfo golden_retriever(std::optional<int64_t> max_pixels = std::nullopt) {
  RecordModelConfig config;
  config.path = kGolden / "model";
  config.adapter = kGolden / "adapter";
  config.max_pixels = max_pixels;
  SelfCommunicator self;
  CheckpointEmbedder checkpoint(config);
  checkpoint.load(self);
  return checkpoint.info(self);
}

/// A file that says it was mined with the golden checkpoint, a copy of that checkpoint, and its adapter.
class MinedSource : public ::testing::Test {
 protected:
  MinedSource() { write(golden_retriever(6272)); }
  void write(const EmbeddingsInfo& retriever, bool with_fingerprint = true) const {
    HardNegativesWriter writer(config_.file);
    writer.write(std::vector{MinedQuery{.id = "q", .documents = {}, .positives = {{.id = "d"}}}});
    HardNegativesInfo info;
    info.model = "a/retriever";
    info.model_sha256 = retriever.model_sha256;
    info.adapter_sha256 = retriever.adapter_sha256;
    if (with_fingerprint) info.fingerprint = retriever.fingerprint;
    writer.commit(info);
  }
  void open(Communicator& communicator) {
    Console console{text_, false};
    Log log{console, {}};
    open_mined(config_, communicator, log);
  }
  void open() { open(self_); }

  test::TempFolder folder_;
  EditableFolder model_{kGolden / "model"}, adapter_{kGolden / "adapter"};
  MinedConfig config_{
      .file = folder_.path() / "mined.h5", .retriever = model_.path(), .retriever_adapter = adapter_.path()};
  SelfCommunicator self_;
  std::ostringstream text_;
};

TEST_F(MinedSource, TakesACopyOfTheRetrieverWhateverPixelLimitsWereAskedFor) {
  open();
  run_ranks(2, [&](Communicator& communicator) {
    Console console{text_, false};
    Log log{console, {}};
    open_mined(config_, communicator, log);
  });
}

TEST_F(MinedSource, NamesThePartInWhichTheRetrieverDiffers) {
  adapter_.edit_json("adapter_config.json", [](auto& json) { json["lora_alpha"] = 64; });
  EXPECT_THAT(message_of<DataError>([&] { open(); }),
              AllOf(HasSubstr("adapter configuration differs"), HasSubstr("allow_stale"), Not(HasSubstr("weights"))));
  adapter_.edit_json("adapter_config.json", [](auto& json) { json["lora_alpha"] = 8; });
  model_.write("tokenizer.json", read_text_file(model_.path() / "tokenizer.json") + " ");
  EXPECT_THAT(message_of<DataError>([&] { open(); }), HasSubstr("tokenizer differs"));
  config_.allow_stale = true;
  open();
  EXPECT_THAT(text_.str(), HasSubstr("tokenizer differs"));
}

TEST_F(MinedSource, AFileWithoutFingerprintIsComparedByWeightsAndSaysSo) {
  EmbeddingsInfo info = golden_retriever();
  write(info, false);
  open();
  EXPECT_THAT(text_.str(), HasSubstr("are not known"));
  info.adapter_sha256 = "";
  write(info, false);
  EXPECT_THAT(message_of<DataError>([&] { open(); }), HasSubstr("adapter weights differ"));
}

}  // namespace
}  // namespace trireme
