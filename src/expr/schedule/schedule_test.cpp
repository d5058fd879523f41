#include "expr/schedule/schedule.h"

#include <gtest/gtest.h>

namespace sortie::schedule {
namespace {

// New York's rule of today: DST from the second Sunday of March to the first of November, at 2:00 local.
class NewYork final : public Zone {
 public:
  std::string_view name() const override { return "America/New_York"; }
  std::int64_t offset_ms(Timestamp at) const override {
    const int year = to_civil(at).year;
    const Timestamp spring = sunday(year, 3, 2).plus_ms(7 * kHour);
    const Timestamp autumn = sunday(year, 11, 1).plus_ms(6 * kHour);
    return at >= spring && at < autumn ? -4 * kHour : -5 * kHour;
  }

 private:
  static constexpr std::int64_t kHour = 3'600'000;
  static Timestamp sunday(int year, int month, int nth) {
    const Timestamp first = from_civil(CivilTime{year, month, 1, 0, 0, 0, 0});
    const std::int64_t weekday = (first.ms / (24 * kHour) + 4) % 7;  // 0 is Sunday.
    return first.plus_ms(((7 - weekday) % 7 + 7 * (nth - 1)) * 24 * kHour);
  }
};

std::string next(std::string_view expression, std::string_view after, const Zone& zone = Utc(),
                 std::string_view anchor = "2026-01-01T00:00:00Z") {
  auto schedule = compile(expression);
  if (!schedule) return schedule.error().message;
  const auto at = schedule->next_after(*parse_rfc3339(after), *parse_rfc3339(anchor), zone);
  return at ? to_iso8601(*at) : "never";
}

TEST(Schedule, RatesCountFromTheirAnchor) {
  EXPECT_EQ(next("rate(5 minutes)", "2026-01-01T00:00:00Z"), "2026-01-01T00:05:00.000Z");
  EXPECT_EQ(next("rate(5 minutes)", "2026-01-01T00:07:30Z"), "2026-01-01T00:10:00.000Z");
  EXPECT_EQ(next("rate(1 day)", "2026-01-05T12:00:00Z", Utc(), "2026-01-01T09:00:00Z"),
            "2026-01-06T09:00:00.000Z");
  EXPECT_EQ(next("rate(1 hour)", "2025-06-01T00:00:00Z"), "2026-01-01T01:00:00.000Z");
}

TEST(Schedule, CronFindsTheNextMinuteOfEachKindOfField) {
  const char* after = "2026-11-22T21:26:59Z";  // A Sunday.
  EXPECT_EQ(next("cron(0 10 * * ? *)", after), "2026-11-23T10:00:00.000Z");
  EXPECT_EQ(next("cron(15 12 * * ? *)", after), "2026-11-23T12:15:00.000Z");
  EXPECT_EQ(next("cron(0 18 ? * MON-FRI *)", after), "2026-11-23T18:00:00.000Z");
  EXPECT_EQ(next("cron(0/15 * * * ? *)", after), "2026-11-22T21:30:00.000Z");
  EXPECT_EQ(next("cron(0 8 1 * ? *)", after), "2026-12-01T08:00:00.000Z");
  EXPECT_EQ(next("cron(0/10 * ? * MON-FRI *)", after), "2026-11-23T00:00:00.000Z");
  EXPECT_EQ(next("cron(0/5 8-17 ? * mon-fri *)", after), "2026-11-23T08:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 29 2 ? *)", after), "2028-02-29T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 ? * FRI-MON *)", "2026-11-23T00:00:00Z"), "2026-11-27T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 22 ? * 1 *)", after), "2026-11-22T22:00:00.000Z");
  EXPECT_EQ(next("cron(30 6 1 JAN,JUL ? 2030-2032)", after), "2030-01-01T06:30:00.000Z");
}

TEST(Schedule, CronKnowsLastNearestAndNthDays) {
  const char* after = "2026-02-10T00:00:00Z";
  EXPECT_EQ(next("cron(0 0 L * ? *)", after), "2026-02-28T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 LW * ? *)", after), "2026-02-27T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 15W * ? *)", after), "2026-02-16T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 1W * ? *)", after), "2026-03-02T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 ? * 6L *)", after), "2026-02-27T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 ? * 3#2 *)", after), "2026-03-10T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 ? * SUN#5 *)", after), "2026-03-29T00:00:00.000Z");
  EXPECT_EQ(next("cron(0 0 ? * L *)", after), "2026-02-14T00:00:00.000Z");
}

TEST(Schedule, EndsWhenNoTimeIsLeft) {
  EXPECT_EQ(next("cron(0 0 1 1 ? 2020)", "2026-01-01T00:00:00Z"), "never");
  EXPECT_EQ(next("cron(0 0 30 2 ? *)", "2026-01-01T00:00:00Z"), "never");
  EXPECT_EQ(next("at(2026-11-22T21:26:59)", "2026-11-22T21:26:58Z"), "2026-11-22T21:26:59.000Z");
  EXPECT_EQ(next("at(2026-11-22T21:26:59)", "2026-11-22T21:26:59Z"), "never");
}

TEST(Schedule, SkipsTheHourThatSpringTakesAndFiresOnceInTheHourThatAutumnRepeats) {
  const NewYork zone;
  EXPECT_EQ(next("cron(30 2 * * ? *)", "2026-03-07T08:00:00Z", zone), "2026-03-09T06:30:00.000Z");
  EXPECT_EQ(next("cron(30 1 * * ? *)", "2026-11-01T00:00:00Z", zone), "2026-11-01T05:30:00.000Z");
  EXPECT_EQ(next("cron(30 1 * * ? *)", "2026-11-01T05:30:00Z", zone), "2026-11-02T06:30:00.000Z");
  EXPECT_EQ(next("at(2026-07-01T12:00:00)", "2026-01-01T00:00:00Z", zone), "2026-07-01T16:00:00.000Z");
}

TEST(Schedule, RefusesWhatAwsRefusesWithItsWords) {
  for (const char* bad : {"",
                          "rate(0 minutes)",
                          "rate(1 minutes)",
                          "rate(5 minute)",
                          "rate(5)",
                          "rate(-1 minutes)",
                          "rate(5  minutes)",
                          "rate(1.5 hours)",
                          "rate(5 seconds)",
                          "cron()",
                          "cron(0 10 * * * *)",
                          "cron(0 10 ? * ? *)",
                          "cron(* * * * ?)",
                          "cron(60 * * * ? *)",
                          "cron(0 24 * * ? *)",
                          "cron(0 0 32 * ? *)",
                          "cron(0 0 1 13 ? *)",
                          "cron(0 0 ? * 8 *)",
                          "cron(0 0 ? * 0 *)",
                          "cron(0 0 ? * 2#6 *)",
                          "cron(0 0 * * ? 1969)",
                          "cron(0/0 * * * ? *)",
                          "cron(0 0 ? * MON/2 *)",
                          "cron(a * * * ? *)",
                          "cron(0,,5 * * * ? *)",
                          "at(2026-13-01T00:00:00)",
                          "at(2026-01-01)",
                          "every 5 minutes",
                          "rate(5 minutes",
                          "cron(99999999999999999999 * * * ? *)"}) {
    auto schedule = compile(bad);
    ASSERT_FALSE(schedule.ok()) << bad;
    EXPECT_EQ(schedule.error().code, "ValidationException") << bad;
    EXPECT_EQ(schedule.error().message, "Parameter ScheduleExpression is not valid.") << bad;
    EXPECT_FALSE(schedule.error().hint.empty()) << bad;
  }
}

}  // namespace
}  // namespace sortie::schedule
