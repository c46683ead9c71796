#include "data/preparation/benchmark_files.h"

namespace trireme {
namespace {

struct Instruction {
  const char *query_modality, *candidate_modality, *dataset;
  int64_t dataset_id;
  const char* prompts[4];
};

constexpr Instruction kInstructions[] = {
    {"text",
     "image",
     "pictograms",
     kPictogramsDataset,
     {"Find the pictogram that these words describe.", "Which pictogram is meant by the following words?",
      "Show me a small picture of what is named here.", "I am looking for the symbol that goes with this text."}},
    {"text",
     "text",
     "pictograms",
     kPictogramsDataset,
     {"Find the English name of the thing that these words stand for.",
      "Give the English name that means the same as the following words.", "Which English name belongs to these words?",
      "I want to know what this is called in English."}},
    {"text",
     "image,text",
     "pictograms",
     kPictogramsDataset,
     {"Find the pictogram and the keywords that go with this name.",
      "Retrieve a picture of what is named, together with its keywords.",
      "Which pictogram with keywords shows the thing of this name?",
      "I need a symbol and its keywords for the following name."}},
    {"image",
     "text",
     "pictograms",
     kPictogramsDataset,
     {"Find the English name of this pictogram.", "What does this small picture show? Give its English name.",
      "Name the thing that the symbol stands for, in English.", "I want to know what this pictogram is called."}},
    {"image",
     "image",
     "pictograms",
     kPictogramsDataset,
     {"Find the same thing as another artist drew it.", "Show me this pictogram in somebody else's style.",
      "Which picture by another hand has the same meaning as this one?",
      "I am looking for a different drawing of the concept shown."}},
    {"image,text",
     "text",
     "pictograms",
     kPictogramsDataset,
     {"Find the name of this pictogram in the language that is asked for.",
      "Answer the request about the picture with a name.",
      "What is the thing shown called? Mind the language asked for.",
      "I want the name of this symbol as the text says."}},
    {"image,text",
     "image",
     "pictograms",
     kPictogramsDataset,
     {"Find this pictogram with the change that the text asks for.",
      "Show the same thing, drawn as the following words say.",
      "Which picture keeps the meaning of this one and follows the request?",
      "I am looking for the pictogram shown, altered as described."}},
    {"image,text",
     "image,text",
     "pictograms",
     kPictogramsDataset,
     {"Find another drawing of this pictogram together with its keywords.",
      "Retrieve a picture and keywords for the thing shown, as requested.",
      "Which described picture shows the same thing and follows the request?",
      "I need the same concept once more, as the text asks, with words that describe it."}},
    {"text",
     "image",
     "stamps",
     kStampsDataset,
     {"Find the picture that this caption belongs to.", "Which stamp does the following sentence describe?",
      "Show me the photograph or drawing that fits this caption.", "I am looking for a picture of what is said here."}},
    {"image",
     "text",
     "stamps",
     kStampsDataset,
     {"Find the caption of this picture.", "What is a child told about this picture?",
      "Which sentence describes the photograph or drawing?", "I want to read the caption that belongs to this stamp."}},
};

}  // namespace

void write_instructions(DatasetWriter& out) {
  std::string text =
      "query_modality\tcand_modality\tdataset_name\tdataset_id\tprompt_1\tprompt_2\tprompt_3\tprompt_4\n";
  for (const Instruction& row : kInstructions) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\n", row.query_modality, row.candidate_modality, row.dataset, row.dataset_id,
                        fmt::join(row.prompts, "\t"));
  }
  out.write("instructions/query_instructions.tsv", text);
}

}  // namespace trireme
