#pragma once
// The inputs of the Step Functions operations as the service's model (2016-11-23) constrains them.
#include <string_view>

#include "api/shape.h"

namespace sortie::api {

// Null: the service has no such operation.
const Shape* find_states_shape(std::string_view operation);

}  // namespace sortie::api
