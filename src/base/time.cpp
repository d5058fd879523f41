#include "base/time.h"

#include <cstdio>

namespace sortie {
namespace {

// Days since 1970-01-01 of a proleptic Gregorian date, by the usual era arithmetic.
std::int64_t days_from_civil(std::int64_t year, int month, int day) {
  year -= month <= 2;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

bool read_digits(std::string_view text, std::size_t at, std::size_t count, int* out) {
  if (at + count > text.size()) return false;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + (text[i] - '0');
  }
  *out = value;
  return true;
}

Error bad_timestamp(std::string_view text) {
  return {"InvalidTimestamp", "'" + std::string(text.substr(0, 64)) + "' is no RFC 3339 date-time", "",
          "write it like 2026-11-22T21:26:59Z"};
}

}  // namespace

int days_in_month(int year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

Timestamp from_civil(const CivilTime& c) {
  const std::int64_t days = days_from_civil(c.year, c.month, c.day);
  return {((days * 24 + c.hour) * 60 + c.minute) * 60000 + c.second * 1000 + c.millisecond};
}

CivilTime to_civil(Timestamp time) {
  std::int64_t ms = time.ms % 86'400'000;
  std::int64_t days = time.ms / 86'400'000;
  if (ms < 0) {
    ms += 86'400'000;
    --days;
  }
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  return {static_cast<int>(year_of_era + era * 400 + (month <= 2)),
          month,
          static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1),
          static_cast<int>(ms / 3'600'000),
          static_cast<int>(ms / 60'000 % 60),
          static_cast<int>(ms / 1000 % 60),
          static_cast<int>(ms % 1000)};
}

std::string to_iso8601(Timestamp time) {
  const CivilTime c = to_civil(time);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month, c.day, c.hour,
                c.minute, c.second, c.millisecond);
  return text;
}

Result<Timestamp> parse_rfc3339(std::string_view text) {
  CivilTime c{};
  const bool shape = read_digits(text, 0, 4, &c.year) && read_digits(text, 5, 2, &c.month) &&
                     read_digits(text, 8, 2, &c.day) && read_digits(text, 11, 2, &c.hour) &&
                     read_digits(text, 14, 2, &c.minute) && read_digits(text, 17, 2, &c.second) &&
                     text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' &&
                     text[16] == ':';
  if (!shape || c.year < 1 || c.month < 1 || c.month > 12 || c.day < 1 ||
      c.day > days_in_month(c.year, c.month) || c.hour > 23 || c.minute > 59 || c.second > 59) {
    return bad_timestamp(text);
  }
  std::size_t at = 19;
  if (at < text.size() && text[at] == '.') {
    const std::size_t first = ++at;
    int scale = 100;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      c.millisecond += (text[at] - '0') * scale;
      scale /= 10;
    }
    if (at == first) return bad_timestamp(text);
  }
  std::int64_t offset_minutes = 0;
  if (text.substr(at) != "Z") {
    int hours = 0, minutes = 0;
    if (text.size() != at + 6 || (text[at] != '+' && text[at] != '-') || text[at + 3] != ':' ||
        !read_digits(text, at + 1, 2, &hours) || !read_digits(text, at + 4, 2, &minutes) || hours > 23 ||
        minutes > 59) {
      return bad_timestamp(text);
    }
    offset_minutes = (hours * 60 + minutes) * (text[at] == '-' ? -1 : 1);
  }
  return from_civil(c).plus_ms(-offset_minutes * 60'000);
}

}  // namespace sortie
