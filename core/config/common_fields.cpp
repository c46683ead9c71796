#include "core/config/field_list.h"

namespace trireme {

TRIREME_COMMON_FIELDS()

}  // namespace trireme
