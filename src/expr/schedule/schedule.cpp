#include "expr/schedule/schedule.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"

namespace sortie::schedule {

namespace schedule_detail {

constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::int64_t kDayMs = 24 * 60 * kMinuteMs;
constexpr std::string_view kMonthNames[] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                            "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::string_view kWeekdayNames[] = {"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};

Error invalid(std::string hint) {
  return Error{"ValidationException", "Parameter ScheduleExpression is not valid.", "", std::move(hint)};
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t number = 0;
  if (text.empty() || text.size() > 9) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text[0] == '-') return std::nullopt;
  return number;
}

// 1 is Sunday.
int weekday_of(int year, int month, int day) {
  const std::int64_t days = from_civil(CivilTime{year, month, day, 0, 0, 0, 0}).ms / kDayMs;
  return static_cast<int>((days + 4 + 7'000'000) % 7) + 1;
}

}  // namespace schedule_detail

using namespace schedule_detail;

std::optional<Timestamp> from_local(Timestamp local, const Zone& zone) {
  std::optional<Timestamp> first;
  for (const std::int64_t offset :
       {zone.offset_ms(local.plus_ms(-kDayMs)), zone.offset_ms(local.plus_ms(kDayMs))}) {
    const Timestamp utc = local.plus_ms(-offset);
    if (zone.offset_ms(utc) != offset) continue;
    if (!first || utc < *first) first = utc;
  }
  return first;
}

// One comma-separated field of a cron expression.
struct CronField {
  std::string_view title;
  int first;
  int last;
  std::string_view const* names;  // For the values first, first + 1, ...; nullptr: none.
  bool steps;
};

class CronParser {
 public:
  Result<Schedule> run(std::string_view text) {
    std::vector<std::string_view> fields;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t start = text.find_first_not_of(" \t", i);
      if (start == std::string_view::npos) break;
      const std::size_t end = std::min(text.find_first_of(" \t", start), text.size());
      fields.push_back(text.substr(start, end - start));
      i = end;
    }
    if (fields.size() != 6) {
      return invalid("cron has six fields: minutes hours day-of-month month day-of-week year");
    }
    schedule_.kind_ = Schedule::Kind::kCron;
    SORTIE_TRY_STATUS(read(fields[0], CronField{"minutes", 0, 59, nullptr, true}, schedule_.minutes_, 0));
    SORTIE_TRY_STATUS(read(fields[1], CronField{"hours", 0, 23, nullptr, true}, schedule_.hours_, 0));
    SORTIE_TRY_STATUS(read(fields[3], CronField{"month", 1, 12, kMonthNames, true}, schedule_.months_, 0));
    SORTIE_TRY_STATUS(read(fields[5], CronField{"year", kYearFirst, kYearLast, nullptr, true},
                           schedule_.years_, kYearFirst));
    if ((fields[2] == "?") == (fields[4] == "?")) {
      return invalid("exactly one of day-of-month and day-of-week is '?'");
    }
    schedule_.by_weekday_ = fields[2] == "?";
    SORTIE_TRY_STATUS(schedule_.by_weekday_ ? read_weekdays(fields[4]) : read_month_days(fields[2]));
    return std::move(schedule_);
  }

 private:
  static Error bad(const CronField& field, std::string_view part) {
    return invalid("'" + std::string(part) + "' is no " + std::string(field.title) + " of a cron expression");
  }

  static std::optional<int> value_of(std::string_view text, const CronField& field) {
    if (field.names != nullptr) {
      for (int i = 0; i <= field.last - field.first; ++i) {
        if (equals_ignore_case_ascii(text, field.names[i])) return field.first + i;
      }
    }
    const auto number = parse_number(text);
    if (!number || *number < field.first || *number > field.last) return std::nullopt;
    return static_cast<int>(*number);
  }

  template <std::size_t N>
  static Status read(std::string_view text, const CronField& field, std::bitset<N>& out, int base) {
    for (std::string_view part : split(text, ',')) SORTIE_TRY_STATUS(read_part(part, field, out, base));
    return {};
  }

  template <std::size_t N>
  static Status read_part(std::string_view part, const CronField& field, std::bitset<N>& out, int base) {
    const std::size_t slash = part.find('/');
    const std::string_view range = part.substr(0, slash);
    int step = 1;
    if (slash != std::string_view::npos) {
      const auto number = parse_number(part.substr(slash + 1));
      if (!field.steps || !number || *number < 1 || *number > field.last) return bad(field, part);
      step = static_cast<int>(*number);
    }
    int low = field.first;
    int high = field.last;
    if (range != "*") {
      const std::size_t dash = range.find('-');
      const auto first = value_of(range.substr(0, dash), field);
      const auto last = dash == std::string_view::npos ? first : value_of(range.substr(dash + 1), field);
      if (!first || !last) return bad(field, part);
      low = *first;
      // "5/15" starts at 5 and goes on to the end.
      high = dash == std::string_view::npos && slash != std::string_view::npos ? field.last : *last;
    }
    if (low > high && field.title == "year") return bad(field, part);
    const int size = field.last - field.first + 1;
    const int end = low > high ? high + size : high;
    for (int value = low; value <= end; value += step) {
      out.set(static_cast<std::size_t>((value - field.first) % size + field.first - base));
    }
    return {};
  }

  Status read_month_days(std::string_view text) {
    const CronField field{"day-of-month", 1, 31, nullptr, true};
    for (std::string_view part : split(text, ',')) {
      if (equals_ignore_case_ascii(part, "L")) {
        schedule_.last_month_day_ = true;
      } else if (equals_ignore_case_ascii(part, "LW")) {
        schedule_.last_working_day_ = true;
      } else if (part.size() > 1 && (part.back() == 'W' || part.back() == 'w')) {
        const auto day = value_of(part.substr(0, part.size() - 1), field);
        if (!day) return bad(field, part);
        schedule_.nearest_weekdays_.push_back(*day);
      } else {
        SORTIE_TRY_STATUS(read_part(part, field, schedule_.month_days_, 0));
      }
    }
    return {};
  }

  Status read_weekdays(std::string_view text) {
    const CronField field{"day-of-week", 1, 7, kWeekdayNames, false};
    for (std::string_view part : split(text, ',')) {
      const std::size_t hash = part.find('#');
      if (equals_ignore_case_ascii(part, "L")) {
        schedule_.weekdays_.set(7);
      } else if (hash != std::string_view::npos) {
        const auto weekday = value_of(part.substr(0, hash), field);
        const auto nth = parse_number(part.substr(hash + 1));
        if (!weekday || !nth || *nth < 1 || *nth > 5) return bad(field, part);
        schedule_.nth_weekdays_.push_back({*weekday, static_cast<int>(*nth)});
      } else if (part.size() > 1 && (part.back() == 'L' || part.back() == 'l')) {
        const auto weekday = value_of(part.substr(0, part.size() - 1), field);
        if (!weekday) return bad(field, part);
        schedule_.nth_weekdays_.push_back({*weekday, 0});
      } else {
        SORTIE_TRY_STATUS(read_part(part, field, schedule_.weekdays_, 0));
      }
    }
    return {};
  }

  Schedule schedule_;
};

Result<Schedule> Schedule::compile_rate(std::string_view text) {
  const std::size_t blank = text.find(' ');
  const auto count = parse_number(text.substr(0, blank));
  if (!count || *count < 1)
    return invalid("rate takes a whole number from 1 and a unit, as in rate(5 minutes)");
  const std::string_view unit = blank == std::string_view::npos ? "" : text.substr(blank + 1);
  const bool one = *count == 1;
  Schedule schedule;
  schedule.kind_ = Kind::kRate;
  if (unit == (one ? "minute" : "minutes")) {
    schedule.period_ms_ = *count * kMinuteMs;
  } else if (unit == (one ? "hour" : "hours")) {
    schedule.period_ms_ = *count * 60 * kMinuteMs;
  } else if (unit == (one ? "day" : "days")) {
    schedule.period_ms_ = *count * kDayMs;
  } else {
    return invalid("the unit of a rate is minute, hour or day; with an s unless the number is 1");
  }
  return schedule;
}

Result<Schedule> Schedule::compile_at(std::string_view text) {
  // parse_rfc3339 wants a zone; the expression has none, so that its own time is local.
  const auto at = text.size() == 19 ? parse_rfc3339(std::string(text) + "Z") : parse_rfc3339("");
  if (!at) return invalid("at takes a local time without a zone: at(2026-11-22T21:26:59)");
  Schedule schedule;
  schedule.kind_ = Kind::kAt;
  schedule.at_ = *at;
  return schedule;
}

Result<Schedule> Schedule::compile(std::string_view text) {
  if (text.size() > kExpressionBytesMax) return invalid("the expression is longer than 256 bytes");
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || !text.ends_with(')')) {
    return invalid("write rate(...), cron(...) or at(...)");
  }
  const std::string_view word = text.substr(0, open);
  const std::string_view inner = text.substr(open + 1, text.size() - open - 2);
  if (word == "rate") return compile_rate(inner);
  if (word == "cron") return CronParser().run(inner);
  if (word == "at") return compile_at(inner);
  return invalid("write rate(...), cron(...) or at(...)");
}

std::optional<Timestamp> Schedule::next_after(Timestamp after, Timestamp anchor, const Zone& zone) const {
  if (kind_ == Kind::kCron) return next_cron(after, zone);
  if (kind_ == Kind::kAt) {
    const auto at = from_local(at_, zone);
    return at && *at > after ? at : std::nullopt;
  }
  if (after < anchor) return anchor.plus_ms(period_ms_);
  return anchor.plus_ms(((after.ms - anchor.ms) / period_ms_ + 1) * period_ms_);
}

std::bitset<32> Schedule::days_of(int year, int month) const {
  std::bitset<32> days;
  const int length = days_in_month(year, month);
  const int first_weekday = weekday_of(year, month, 1);
  const auto weekday = [first_weekday](int day) { return (first_weekday - 1 + day - 1) % 7 + 1; };
  // The nearest Monday to Friday in the same month.
  const auto nearest = [&](int day) {
    if (weekday(day) == 7) return day > 1 ? day - 1 : day + 2;
    if (weekday(day) == 1) return day < length ? day + 1 : day - 2;
    return day;
  };
  for (int day = 1; day <= length; ++day) {
    const auto bit = static_cast<std::size_t>(day);
    if (!by_weekday_) {
      if (month_days_.test(bit)) days.set(bit);
      continue;
    }
    if (weekdays_.test(static_cast<std::size_t>(weekday(day)))) days.set(bit);
    for (const NthWeekday& nth : nth_weekdays_) {
      const bool hit = nth.nth == 0 ? day + 7 > length : (day - 1) / 7 + 1 == nth.nth;
      if (hit && weekday(day) == nth.weekday) days.set(bit);
    }
  }
  if (by_weekday_) return days;
  if (last_month_day_) days.set(static_cast<std::size_t>(length));
  if (last_working_day_) days.set(static_cast<std::size_t>(nearest(length)));
  for (int day : nearest_weekdays_) {
    if (day <= length) days.set(static_cast<std::size_t>(nearest(day)));
  }
  return days;
}

std::optional<Timestamp> Schedule::next_on_day(int year, int month, int day, Timestamp after,
                                               const Zone& zone) const {
  for (int hour = 0; hour < 24; ++hour) {
    if (!hours_.test(static_cast<std::size_t>(hour))) continue;
    for (int minute = 0; minute < 60; ++minute) {
      if (!minutes_.test(static_cast<std::size_t>(minute))) continue;
      const auto at = from_local(from_civil(CivilTime{year, month, day, hour, minute, 0, 0}), zone);
      if (at && *at > after) return at;
    }
  }
  return std::nullopt;
}

std::optional<Timestamp> Schedule::next_cron(Timestamp after, const Zone& zone) const {
  // Local days are tried in order; the day before is looked at, too, because a zone may set its clocks back.
  const CivilTime start = to_civil(after.plus_ms(zone.offset_ms(after) - kDayMs));
  for (int year = std::max(start.year, kYearFirst); year <= kYearLast; ++year) {
    if (!years_.test(static_cast<std::size_t>(year - kYearFirst))) continue;
    for (int month = year == start.year ? start.month : 1; month <= 12; ++month) {
      if (!months_.test(static_cast<std::size_t>(month))) continue;
      const std::bitset<32> days = days_of(year, month);
      const bool first = year == start.year && month == start.month;
      for (int day = first ? start.day : 1; day <= 31; ++day) {
        if (!days.test(static_cast<std::size_t>(day))) continue;
        const auto at = next_on_day(year, month, day, after, zone);
        if (at) return at;
      }
    }
  }
  return std::nullopt;
}

Result<Schedule> compile(std::string_view text) { return Schedule::compile(text); }

}  // namespace sortie::schedule
