#include <gtest/gtest.h>

#include "base/duration.h"
#include "base/fair_queue.h"
#include "base/hash.h"
#include "base/shared.h"
#include "base/text.h"
#include "base/time.h"

namespace sortie {
namespace {

TEST(Time, PrintsAndParsesTheSameInstantAcrossFourCenturies) {
  SeededRandom random(7);
  for (int i = 0; i < 20000; ++i) {
    const Timestamp time{static_cast<std::int64_t>(random.next() % 12'622'780'800'000ULL) -
                         5'000'000'000'000};
    const Result<Timestamp> back = parse_rfc3339(to_iso8601(time));
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(back->ms, time.ms);
  }
}

TEST(Time, RefusesWhatIsNoDateTime) {
  for (const char* text :
       {"", "2026-02-29T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100", "x"}) {
    EXPECT_FALSE(parse_rfc3339(text).ok()) << text;
  }
  EXPECT_EQ(parse_rfc3339("2026-01-01T01:00:00.1234567+01:00")->ms,
            parse_rfc3339("2026-01-01T00:00:00.123Z")->ms);
}

TEST(Text, Base64RoundTripsAndRefusesGarbage) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("ab"), std::string("abc\0\xff", 5)}) {
    EXPECT_EQ(*base64_decode(base64_encode(text)), text);
    EXPECT_EQ(*base64url_decode(base64url_encode(text)), text);
  }
  EXPECT_FALSE(base64_decode("a").ok());
  EXPECT_FALSE(base64_decode("a*==").ok());
}

TEST(Text, Utf8ChecksRejectOverlongSurrogateAndTruncated) {
  EXPECT_TRUE(is_valid_utf8("grüße \xF0\x9F\x98\x80"));
  for (const char* text : {"\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\xFF"}) {
    EXPECT_FALSE(is_valid_utf8(text));
    EXPECT_TRUE(is_valid_utf8(to_valid_utf8(text)));
  }
  EXPECT_EQ(truncate_utf8("aü", 2), "a");
}

TEST(Hash, AgreesWithPublishedVectors) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
}

TEST(Hash, UuidsAreVersionFourAndDiffer) {
  SeededRandom random(1);
  const std::string a = make_uuid(random), b = make_uuid(random);
  EXPECT_EQ(a.size(), 36u);
  EXPECT_EQ(a[14], '4');
  EXPECT_NE(a, b);
}

TEST(Duration, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(parse_duration_ms("90").value(), 90'000);
  EXPECT_EQ(parse_duration_ms("90s").value(), 90'000);
  EXPECT_EQ(parse_duration_ms("15m").value(), 900'000);
  EXPECT_EQ(parse_duration_ms("4h").value(), 14'400'000);
  EXPECT_EQ(parse_duration_ms("2d").value(), 172'800'000);
  for (const char* bad : {"", "h", "-1s", "1.5h", "99999999999999999d", "9999999d", "4 h", "4x"})
    EXPECT_FALSE(parse_duration_ms(bad).ok()) << bad;
}

TEST(FairQueue, LanesTakeTurnsAndEachKeepsItsOrder) {
  FairQueue<int> queue;
  for (int i = 0; i < 5; ++i) queue.push_back("noisy", i);
  queue.push_back("quiet", 100);
  queue.push_back("rare", 200);
  std::vector<int> order;
  while (!queue.empty()) order.push_back(queue.pop());
  EXPECT_EQ(order, (std::vector<int>{0, 100, 200, 1, 2, 3, 4}));
}

TEST(FairQueue, WhatIsGivenBackIsFirstAndWhatIsTakenOutIsGone) {
  FairQueue<int> queue;
  queue.push_back("a", 1);
  queue.push_back("a", 2);
  queue.push_front("a", 0);
  EXPECT_TRUE(queue.erase("a", 1));
  EXPECT_FALSE(queue.erase("a", 1));
  EXPECT_FALSE(queue.erase("b", 2));
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.pop(), 0);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_TRUE(queue.empty());
}

TEST(Shared, CopiesAreOneValueUntilOneIsEdited) {
  const Shared<std::string> one(std::string("a text that is longer than a string holds itself"));
  Shared<std::string> other = one;
  EXPECT_EQ(&*one, &*other);
  other.edit() += "!";
  EXPECT_EQ(*other, *one + "!");
  EXPECT_EQ(Shared<std::string>()->size(), 0U) << "there is always a value";
}

TEST(Shared, APartKeepsTheWholeAlive) {
  auto whole = std::make_shared<const std::pair<int, std::string>>(7, std::string(100, 'x'));
  const Shared part(std::shared_ptr<const std::string>(whole, &whole->second));
  whole.reset();
  EXPECT_EQ(*part, std::string(100, 'x'));
}

}  // namespace
}  // namespace sortie
