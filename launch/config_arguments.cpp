#include "launch/config_arguments.h"

#include "core/config/field_list.h"

namespace trireme {

void ConfigArguments::describe(FieldList& v) {
  v.field("config", config, "YAML file: what is done, and with what.").required().positional().placeholder("CONFIG");
  v.field("overrides", overrides, "Changes to it: section.key=value.").positional().placeholder("section.key=value");
}
static_assert(field_count<ConfigArguments>() == 2, "describe() must list every field");

}  // namespace trireme
