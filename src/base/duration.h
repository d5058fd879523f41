#pragma once
// Durations as people write them in configuration, policies and rules.
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace sortie {

// "90s", "15m", "12h", "30d"; a number alone is seconds. At most ten years. Error code "InvalidDuration".
Result<std::int64_t> parse_duration_ms(std::string_view text);

}  // namespace sortie
