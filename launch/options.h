#pragma once

#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/config/field_list.h"

namespace trireme {

/// The options of a verb are a config struct (core/config/field_list.h), declared beside the verb:
///
///   struct EmbedOptions {
///     std::filesystem::path model, out;
///     RopeMode rope_mode = RopeMode::kMrope;          // choice_names(RopeMode) gives the names
///     template <class V> void describe(V& v) {
///       v.field("model", model, "Hugging Face folder of the model.").required().placeholder("DIR");
///       v.field("out", out, "Embeddings file to write.").required().placeholder("FILE.h5").no_effect_on_values();
///       v.field("rope_mode", rope_mode, "Position ids of the decoder.");
///     }
///   };
///   static_assert(field_count<EmbedOptions>() == 3, "describe() must list every field");
///
///   Program program{.name = "trireme", .purpose = ".."};
///   EmbedOptions embed;
///   program.add("embed", "Records to embeddings.", embed);
///   const CommandLine line = parse_command_line(program, arguments);
///   if (line.verb == "embed") run_embed(embed);
///
/// rope_mode is --rope-mode VALUE, max_pixels of a section `image` is --image.max-pixels N. A bool is --name and
/// --no-name. A list is a,b,c or "[a, b, c]", the second where items hold commas; a map is "{a: 1, b: 2}". Fields
/// marked positional() are given by their place, a list among them takes what is left.
/// Values obey the same rules as those of config files, and all problems come in one ConfigError: unknown options (with
/// the nearest one), options without a value or given twice, missing and wrong values, arguments too many.
/// A verb's options may come from several structs (what it computes, how it runs), whose names must differ.
struct Verb {
  std::string name, purpose;
  std::vector<std::unique_ptr<FieldList>> options;
  std::string config_keys = {};  ///< what its help ends with: config_help<EvalConfig>() of the file that it reads
};

struct Program {
  std::string name, purpose;
  std::string version = {};  ///< what --version tells; "" = there is no such option
  std::deque<Verb> verbs = {};

  /// `options` must outlive the parse; their values now are the defaults that --help shows.
  template <Section... T>
  Verb& add(std::string verb, std::string verb_purpose, T&... options) {
    Verb& added = verbs.emplace_back(Verb{std::move(verb), std::move(verb_purpose), {}});
    (added.options.push_back(std::make_unique<FieldList>(options)), ...);
    return added;
  }
};

/// What the user asked for.
struct CommandLine {
  std::string verb;  ///< "" when the text is all that was asked for
  std::string text;  ///< --help or --version: print it on stdout and exit with 0
};

/// Parses the arguments after the program's name, and fills the options of the verb that they name.
/// throws ConfigError: no verb, an unknown verb (suggests the nearest), and all that is said of options above.
CommandLine parse_command_line(const Program& program, std::span<const char* const> arguments);

}  // namespace trireme
