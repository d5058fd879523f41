#include "base/duration.h"

#include <charconv>
#include <string>

#include "base/text.h"

namespace sortie {

Result<std::int64_t> parse_duration_ms(std::string_view text) {
  constexpr std::int64_t kMax = 3'650LL * 86'400'000;
  std::int64_t count = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), count);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const std::int64_t scale = unit.empty() || unit == "s" ? 1'000
                             : unit == "m"               ? 60'000
                             : unit == "h"               ? 3'600'000
                             : unit == "d"               ? 86'400'000
                                                         : 0;
  if (code != std::errc() || scale == 0 || count < 0 || count > kMax / scale) {
    return Error{"InvalidDuration", "\"" + std::string(truncate_utf8(text, 100)) + "\" is no duration", "",
                 "write for example 30s, 15m, 4h or 2d"};
  }
  return count * scale;
}

}  // namespace sortie
