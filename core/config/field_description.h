#pragma once

#include <string>
#include <vector>

namespace trireme {

enum class FieldKind { kFlag, kSingle, kList, kMap, kSection };

/// What help and the command line know of one field.
struct FieldDescription {
  std::string name, help;
  std::string type;                 ///< "integer", "mrope | oned", "list of path"
  std::string placeholder;          ///< what stands for the value in help: "DIR"; "" = made of the type
  std::string default_text;         ///< YAML on one line; "" for sections
  std::vector<std::string> limits;  ///< "at least 0"
  FieldKind kind = FieldKind::kSingle;
  bool required = false, positional = false, changes_values = true;
  std::vector<FieldDescription> children;  ///< of a section; of the elements of a list or map of sections

  FieldDescription() noexcept;
  FieldDescription(const FieldDescription&);
  FieldDescription(FieldDescription&&) noexcept;
  FieldDescription& operator=(const FieldDescription&);
  FieldDescription& operator=(FieldDescription&&) noexcept;
  ~FieldDescription();
};

}  // namespace trireme
