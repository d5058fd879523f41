#pragma once
// Points in time. The whole program counts in whole milliseconds since 1970-01-01T00:00:00Z, because that is
// the resolution AWS shows in histories and answers. Nothing here reads a clock: see base/clock.h.
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sortie {

struct Timestamp {
  std::int64_t ms = 0;

  auto operator<=>(const Timestamp&) const = default;
  Timestamp plus_ms(std::int64_t delta_ms) const { return {ms + delta_ms}; }
};

inline constexpr Timestamp kNever{INT64_MAX};

// "2026-11-22T21:26:59.831Z": what Step Functions writes into the context object.
std::string to_iso8601(Timestamp time);

// RFC 3339 with 'T' and a zone ('Z' or +hh:mm), any number of fraction digits (cut to ms). Errors: code
// "InvalidTimestamp". Years 0001 to 9999; second 60 is refused.
Result<Timestamp> parse_rfc3339(std::string_view text);

struct CivilTime {
  int year, month, day, hour, minute, second, millisecond;  // month 1..12, day 1..31
};
CivilTime to_civil(Timestamp time);
Timestamp from_civil(const CivilTime& civil);  // The caller guarantees valid fields.
int days_in_month(int year, int month);

}  // namespace sortie
