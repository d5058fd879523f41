// The live stream: order, resuming, and readers that are slow or gone.
#include "api/stream.h"

#include <gtest/gtest.h>

#include "api/testing/api_fakes.h"

namespace sortie::api {
namespace {

using namespace api::testing;

struct StreamTest : ::testing::Test {
  fakes::ManualLoop loop;
  SeededRandom random{1};
  StreamHub hub{loop, random};

  std::shared_ptr<FakeResponder> open(std::string_view last = "") {
    const auto reader = std::make_shared<FakeResponder>();
    hub.open(reader, last);
    return reader;
  }
  static json::Value number(int n) { return json::Value::object({{"n", n}}); }
  static std::string last_id(const FakeResponder& reader) {
    const std::size_t at = reader.stream.rfind("id: ");
    return reader.stream.substr(at + 4, reader.stream.find('\n', at) - at - 4);
  }
};

TEST_F(StreamTest, TellsEveryReaderInOrder) {
  const auto one = open(), two = open();
  EXPECT_EQ(one->response->headers.get("content-type"), "text/event-stream");
  hub.publish("approval", number(1));
  hub.publish("approval", number(2));
  EXPECT_EQ(one->stream, two->stream);
  EXPECT_LT(one->stream.find("data: {\"n\":1}"), one->stream.find("data: {\"n\":2}"));
  EXPECT_NE(one->stream.find("event: approval\n"), std::string::npos);
}

TEST_F(StreamTest, ChangesOfOneThingWithinATickAreToldAsOne) {
  const auto reader = open();
  for (int i = 0; i < 1000; ++i) hub.publish_latest("execution", "arn:1", number(i));
  hub.publish_latest("execution", "arn:2", number(7));
  loop.advance_ms(kStreamTickMs);
  EXPECT_EQ(reader->stream.find("\"n\":998"), std::string::npos);
  EXPECT_NE(reader->stream.find("\"n\":999"), std::string::npos);
  EXPECT_NE(reader->stream.find("\"n\":7"), std::string::npos);
}

TEST_F(StreamTest, AReturningReaderGetsExactlyWhatItMissed) {
  const auto first = open();
  hub.publish("a", number(1));
  const std::string seen = last_id(*first);
  hub.publish("a", number(2));
  hub.publish("a", number(3));
  const auto again = open(seen);
  EXPECT_EQ(again->stream.find("\"n\":1}"), std::string::npos);
  EXPECT_NE(again->stream.find("\"n\":2}"), std::string::npos);
  EXPECT_NE(again->stream.find("\"n\":3}"), std::string::npos);
  EXPECT_EQ(open(last_id(*again))->stream.find("\"n\":"), std::string::npos) << "nothing was missed";
}

TEST_F(StreamTest, WhereMemoryDoesNotReachTheReaderIsToldToLoadAgain) {
  const auto first = open();
  hub.publish("a", number(0));
  const std::string seen = last_id(*first);
  for (int i = 1; i <= static_cast<int>(kStreamEventsMax) + 1; ++i) hub.publish("a", number(i));
  for (const std::string& last : {seen, std::string("00000000-5"), std::string("nonsense"), std::string("-"),
                                  seen.substr(0, 9) + "99999999999999999999999"}) {
    const auto reader = open(last);
    EXPECT_NE(reader->stream.find("event: reset\n"), std::string::npos) << last;
    EXPECT_EQ(reader->stream.find("event: a\n"), std::string::npos) << last;
  }
}

TEST_F(StreamTest, WhatIsKeptIsBoundedInBytes) {
  const auto first = open();
  hub.publish("a", number(0));
  const std::string seen = last_id(*first);
  for (int i = 0; i < 20; ++i) hub.publish("a", json::Value::object({{"text", std::string(50'000, 'x')}}));
  const auto reader = open(seen);
  EXPECT_NE(reader->stream.find("event: reset\n"), std::string::npos);
  EXPECT_LT(reader->stream.size(), 1000u);
}

TEST_F(StreamTest, SlowAndClosedReadersAreForgotten) {
  const auto slow = open(), gone = open(), good = open();
  EXPECT_EQ(hub.reader_count(), 3u);
  gone->close();
  slow->reads = false;
  hub.publish("a", number(1));
  EXPECT_EQ(hub.reader_count(), 1u);
  hub.close();
  EXPECT_TRUE(good->ended);
  EXPECT_EQ(hub.reader_count(), 0u);
}

TEST_F(StreamTest, KeepsQuietStreamsAwakeAndStopsWhenNobodyReads) {
  const auto reader = open();
  loop.advance_ms(kStreamPingMs * 2);
  EXPECT_NE(reader->stream.find("event: ping\n"), std::string::npos);
  reader->close();
  loop.advance_ms(kStreamPingMs);
  EXPECT_EQ(loop.timer_count(), 0u);
}

TEST_F(StreamTest, RefusesMoreReadersThanItCanServe) {
  std::vector<std::shared_ptr<FakeResponder>> readers;
  for (std::size_t i = 0; i < kStreamReadersMax; ++i) readers.push_back(open());
  EXPECT_EQ(open()->response->status, 429);
}

TEST(Stream, AReaderThatClosesAfterTheHubIsGoneHarmsNobody) {
  fakes::ManualLoop loop;
  SeededRandom random{1};
  const auto reader = std::make_shared<FakeResponder>();
  {
    StreamHub hub(loop, random);
    hub.open(reader, "");
    hub.publish_latest("a", "b", json::Value());
  }
  reader->close();
  loop.advance_ms(60'000);
  EXPECT_EQ(loop.timer_count(), 0u);
}

}  // namespace
}  // namespace sortie::api
