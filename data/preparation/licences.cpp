#include "core/error.h"
#include "core/io/file.h"
#include "data/preparation/benchmark_files.h"

namespace trireme {
namespace {

constexpr std::string_view kHead =
    R"(Pictograms: pictures and texts out of Debian packages, put together by `trireme prepare pictograms`.

Each part keeps the licence of the package it comes from; the folder as a whole has none of its own, and who passes it
on must meet all of them. The packages' own licence files are in licences/.

)";

constexpr std::string_view kTail = R"(
What was done to them: pictures were cropped, put on white, scaled (pictograms to 64 pixels, stamps to 96) and written
as PNG; names, keywords, captions and definitions are as in the packages, without bidirectional control characters,
keywords that repeat the name, and WordNet's examples.

Where the parts are
  mbeir_images/pictograms_images/noto/      fonts-noto-color-emoji
  mbeir_images/pictograms_images/emojione/  ruby-gemojione: art by EmojiOne, CC BY-SA 4.0; what is made from it is
                                            passed on under the same licence
  mbeir_images/pictograms_images/symbola/   fonts-symbola
  mbeir_images/stamps_images/, captions     tuxpaint-stamps-default
  names, keywords in query/, cand_pool/,
  pairs/names_keywords_*.jsonl              unicode-cldr-core, unicode-data
  pairs/wordnet_hypernyms.jsonl             wordnet-base
)";

}  // namespace

void write_licences(const PictogramPackages& packages, DatasetWriter& out) {
  std::string notice(kHead);
  for (const SourcePackage& source : packages.sources()) {
    notice += fmt::format("{} {}\n  {}\n  {}\n", source.name, source.version, source.what, source.licence);
    const std::filesystem::path copyright = packages.copyright_of(source);
    TRIREME_CHECK(std::filesystem::is_regular_file(copyright), DataError, "prepare pictograms",
                  "each package must come with its licence; got no {}; reinstall {}.", copyright.string(), source.name);
    out.write(fmt::format("licences/{}.txt", source.name), read_text_file(copyright));
  }
  notice += kTail;
  out.write("NOTICE", notice);
}

}  // namespace trireme
