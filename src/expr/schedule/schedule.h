#pragma once
// Schedule expressions as EventBridge takes them:
//
//   rate(5 minutes)                 minute(s), hour(s), day(s); singular for 1 and only for 1
//   cron(0 10 ? * MON-FRI *)        minutes hours day-of-month month day-of-week year
//   at(2026-11-22T21:26:59)         once, in the schedule's zone
//
// cron: `,` `-` `*` everywhere; `/` for minutes, hours, day of month, month, year; `?` in exactly one of the
// two day fields; day of month also `L` (last day), `W` (15W: the weekday nearest the 15th, never in another
// month), `LW`; day of week also `L` (6L: the last Friday) and `#` (3#2: the second Tuesday). Days are 1-7 or
// SUN-SAT, months 1-12 or JAN-DEC, years 1970-2199. Names ignore case. Ranges may wrap around (FRI-MON).
//
// Zones. A local time that a clock skips (spring) does not fire; one that it shows twice (autumn) fires the
// first time only. Rates do not know zones: they count from their anchor.
//
// Pure: no clock is read. Errors: code "ValidationException", message "Parameter ScheduleExpression is not
// valid." as AWS says it, with the reason as hint.
#include <array>
#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace sortie::schedule {

// The rule by which a place sets its clocks. Implementations are immutable.
class Zone {
 public:
  virtual ~Zone() = default;
  virtual std::string_view name() const = 0;
  // What local clocks show minus UTC at this instant, in milliseconds.
  virtual std::int64_t offset_ms(Timestamp at) const = 0;
};

class Utc final : public Zone {
 public:
  std::string_view name() const override { return "UTC"; }
  std::int64_t offset_ms(Timestamp) const override { return 0; }
};

// The instant at which clocks of the zone show `local` (read as if it were UTC); the first one where it is
// shown twice, nothing where it is skipped. Zones change their offset at most once in 24 hours around it.
std::optional<Timestamp> from_local(Timestamp local, const Zone& zone);

inline constexpr int kYearFirst = 1970;
inline constexpr int kYearLast = 2199;
inline constexpr std::size_t kExpressionBytesMax = 256;

class Schedule {
 public:
  enum class Kind { kRate, kCron, kAt };

  static Result<Schedule> compile(std::string_view text);

  Kind kind() const { return kind_; }
  // The first time strictly after `after`; nothing when there is none any more. Rates fire at whole periods
  // after `anchor` (when the rule was made); cron and at ignore it.
  std::optional<Timestamp> next_after(Timestamp after, Timestamp anchor, const Zone& zone) const;

 private:
  struct NthWeekday {
    int weekday = 1;  // 1 is Sunday.
    int nth = 0;      // 1..5, or 0 for the last one.
  };
  friend class CronParser;

  static Result<Schedule> compile_rate(std::string_view text);
  static Result<Schedule> compile_at(std::string_view text);
  std::optional<Timestamp> next_cron(Timestamp after, const Zone& zone) const;
  std::optional<Timestamp> next_on_day(int year, int month, int day, Timestamp after, const Zone& zone) const;
  std::bitset<32> days_of(int year, int month) const;

  Kind kind_ = Kind::kRate;
  std::int64_t period_ms_ = 0;  // kRate
  Timestamp at_;                // kAt, local
  // kCron
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<13> months_;
  std::bitset<kYearLast - kYearFirst + 1> years_;
  bool by_weekday_ = false;  // Day of week decides; otherwise day of month.
  std::bitset<32> month_days_;
  bool last_month_day_ = false;        // L
  bool last_working_day_ = false;      // LW
  std::vector<int> nearest_weekdays_;  // 15W
  std::bitset<8> weekdays_;
  std::vector<NthWeekday> nth_weekdays_;
};

Result<Schedule> compile(std::string_view text);

}  // namespace sortie::schedule
