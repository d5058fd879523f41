#include "events/queue_source.h"

#include <gmock/gmock.h>

#include "events/testing_world.h"

namespace sortie::events {
namespace {

using testing::HasSubstr;

std::vector<QueueSource> sources(const char* text) {
  const auto parsed = parse_queue_sources(*json::parse(text));
  EXPECT_TRUE(parsed.ok()) << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : std::vector<QueueSource>();
}

PutEntry entry_of(const QueueSource& source, std::string body) {
  const auto entry = parse_message(source, {"m", std::move(body), "r", 1});
  EXPECT_TRUE(entry.ok());
  return entry ? *entry : PutEntry();
}

TEST(QueueSource, ReadsItsConfigurationAndSaysWhereItIsWrong) {
  const auto read = sources(
      R"({"findings": {"queue": "q", "events": true, "aws_sources": ["aws.guardduty"], "polls": 2, "deduplicate": "2h"}})");
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].source, "sortie.queues.findings");
  EXPECT_EQ(read[0].dedup_window_ms, 7'200'000);
  EXPECT_EQ(trusted_sources(read[0])[0].actor, "hook:queue/findings");
  const std::pair<const char*, const char*> mistakes[] = {
      {R"({"a": {}})", "/a"},
      {R"({"a": {"queue": "q", "colour": 1}})", "/a/colour"},
      {R"({"a": {"queue": "q", "source": "aws.s3"}})", "/a/source"},
      {R"({"a": {"queue": "q", "aws_sources": ["guardduty"]}})", "/a/aws_sources"},
      {R"({"a": {"queue": "q", "polls": 9}})", "/a/polls"},
      {R"({"a": {"queue": "q", "deduplicate": "soon"}})", "/a/deduplicate"},
      {R"({"a b": {"queue": "q"}})", "/a b"},
      {R"({"a": {"queue": "q", "polls": 5}, "b": {"queue": "q", "polls": 4}})", ""},
      {"[]", ""}};
  for (const auto& [text, place] : mistakes) {
    const auto wrong = parse_queue_sources(*json::parse(text));
    ASSERT_FALSE(wrong.ok()) << text;
    EXPECT_EQ(wrong.error().place, place);
  }
}

TEST(QueueSource, WrapsABodyOrTakesItAsTheEventItIs) {
  const QueueSource plain = sources(R"({"a": {"queue": "q"}})")[0];
  EXPECT_EQ(entry_of(plain, R"({"x": 1})").detail, R"({"x": 1})");
  EXPECT_EQ(entry_of(plain, "hello").detail, R"({"body":"hello"})");
  EXPECT_EQ(entry_of(plain, "[1]").detail, R"({"body":[1]})");
  EXPECT_EQ(entry_of(plain, "x").source, "sortie.queues.a");
  EXPECT_EQ(entry_of(plain, R"({"source":"aws.s3","detail-type":"t","detail":{}})").source, "sortie.queues.a")
      << "only where it is configured a body speaks for itself";
  const QueueSource whole = sources(R"({"a": {"queue": "q", "events": true}})")[0];
  const std::string event =
      R"({"source":"my.app","detail-type":"T","detail":{"n":1},"resources":["r"],"time":"2026-11-18T10:00:00Z"})";
  const PutEntry taken = entry_of(whole, event);
  EXPECT_EQ(taken.source + taken.detail_type + taken.detail, R"(my.appT{"n":1})");
  EXPECT_TRUE(taken.time.has_value());
  const json::Value notification =
      json::Value::object({{"Type", "Notification"}, {"MessageId", "n"}, {"Message", event}});
  EXPECT_EQ(entry_of(whole, json::to_text(notification)).source, "my.app");
  for (const char* bad : {"", "nonsense", "{}", R"({"source":"a","detail-type":"b","detail":"c"})"})
    EXPECT_EQ(parse_message(whole, {"m", bad, "r", 1}).error().code, "InvalidMessage");
}

// A queue in memory: what was received is hidden until the test makes it visible again.
class FakeDoor final : public QueueDoor {
 public:
  explicit FakeDoor(Loop& loop) : loop_(loop) {}
  void receive(const std::string&, std::function<void(Result<std::vector<QueueMessage>>)> done) override {
    ++polls;
    if (!failure.empty()) return answer(done, Error{"SQS.Failure", failure, "", ""});
    std::vector<QueueMessage> found;
    for (auto& [id, message] : messages) {
      if (found.size() == 10 || !visible.contains(id)) continue;
      visible.erase(id);
      ++message.receive_count;
      found.push_back(message);
    }
    if (found.empty()) {
      waiting.push_back(done);  // A long poll; wake() ends it.
    } else {
      answer(done, std::move(found));
    }
  }
  void remove(const std::string&, std::vector<std::string> receipts,
              std::function<void(Status)> done) override {
    if (refuse_removal) return loop_.post([done] { done(Error{"SQS.Failure", "no", "", ""}); });
    for (const std::string& receipt : receipts) messages.erase(receipt);
    loop_.post([done] { done({}); });
  }
  void add(const std::string& id, const std::string& body) {
    messages[id] = {id, body, id, 0};
    visible.insert(id);
  }
  void show_all() {
    for (const auto& [id, message] : messages) visible.insert(id);
  }
  void wake() {
    for (const auto& done : std::exchange(waiting, {})) {
      const bool nothing = visible.empty() && failure.empty();
      nothing ? answer(done, std::vector<QueueMessage>()) : receive("", done);
    }
  }

  std::map<std::string, QueueMessage> messages;
  std::set<std::string> visible;
  std::vector<std::function<void(Result<std::vector<QueueMessage>>)>> waiting;
  std::string failure;
  bool refuse_removal = false;
  int polls = 0;

 private:
  template <typename Done, typename Answer>
  void answer(Done done, Answer what) {
    loop_.post([done = std::move(done), what = std::move(what)]() mutable { done(std::move(what)); });
  }
  Loop& loop_;
};

class QueueIntakeTest : public testing::Test {
 protected:
  QueueIntakeTest() : door_(world_.loop) {
    world_.call("PutRule", R"({"Name":"r","EventPattern":"{\"source\":[{\"prefix\":\"\"}]}"})");
    world_.call(
        "PutTargets",
        R"({"Rule":"r","Targets":[{"Id":"t","Arn":"arn:aws:lambda:us-east-1:123456789012:function:f"}]})");
    begin();
  }
  void begin(const char* text = R"({"a": {"queue": "q"}})") {
    intake_.reset();
    door_.waiting.clear();
    QueueIntake::Options options;
    options.account = "123456789012";
    options.on_trouble = [this](const std::string&, const Error& error) {
      troubles_.push_back(error.message);
    };
    options.on_recovery = [this](const std::string&) { ++recoveries_; };
    intake_ = std::make_unique<QueueIntake>(world_.loop, *world_.bus, door_, std::move(options));
    const auto read = sources(text);
    std::vector<TrustedSource> trusted;
    for (const QueueSource& source : read) {
      for (TrustedSource& one : trusted_sources(source)) trusted.push_back(std::move(one));
    }
    world_.bus->trust(std::move(trusted));
    intake_->configure(read);
    world_.loop.run_until_idle();
  }
  void run() {
    door_.wake();
    world_.loop.run_until_idle();
  }
  std::size_t delivered() { return world_.invoker.count("arn:aws:lambda:us-east-1:123456789012:function:f"); }
  QueueIntake::Standing standing() { return intake_->standings().at(0); }

  World world_;
  FakeDoor door_;
  std::vector<std::string> troubles_;
  int recoveries_ = 0;
  std::unique_ptr<QueueIntake> intake_;
};

TEST_F(QueueIntakeTest, ASecondDeliveryOfAMessageStartsNothingTwice) {
  door_.add("one", "{}");
  door_.add("two", "{}");
  door_.refuse_removal = true;
  run();
  EXPECT_EQ(delivered(), 2u);
  door_.refuse_removal = false;
  door_.show_all();
  world_.advance_ms(2'000);
  run();
  EXPECT_EQ(delivered(), 2u);
  EXPECT_EQ(standing().duplicates, 2u);
  EXPECT_TRUE(door_.messages.empty());
}

TEST_F(QueueIntakeTest, AMessageIsDeletedOnlyWhenItsEventIsDurable) {
  for (const auto fault : {store::CommitFault::kCrashBefore, store::CommitFault::kCrashAfter}) {
    const std::string id = "m" + std::to_string(static_cast<int>(fault));
    const std::size_t before = delivered();
    world_.crash_at = world_.commits + 1;
    world_.crash_fault = fault;
    door_.add(id, "{}");
    run();
    EXPECT_TRUE(world_.crashed);
    EXPECT_TRUE(door_.messages.contains(id)) << "dead between accepting and deleting";
    intake_.reset();
    world_.crash_at = 0;
    world_.restart();
    begin();
    door_.show_all();
    run();
    EXPECT_EQ(delivered(), before + 1);
    EXPECT_TRUE(door_.messages.empty());
  }
}

TEST_F(QueueIntakeTest, WhatIsRefusedStaysInTheQueueAndIsTold) {
  begin(R"({"a": {"queue": "q", "events": true, "aws_sources": ["aws.guardduty"]}})");
  door_.add("poison", "no event");
  door_.add("forged", R"({"source":"aws.iam","detail-type":"t","detail":{}})");
  door_.add("good", R"({"source":"aws.guardduty","detail-type":"t","detail":{}})");
  run();
  EXPECT_EQ(delivered(), 1u);
  EXPECT_EQ(door_.messages.size(), 2u);
  EXPECT_EQ(standing().refused, 2u);
  ASSERT_EQ(troubles_.size(), 2u);
  EXPECT_THAT(troubles_[0] + troubles_[1], testing::AllOf(HasSubstr("poison"), HasSubstr("forged")));
  EXPECT_TRUE(standing().is_reachable);
}

TEST_F(QueueIntakeTest, AQueueThatCannotBeReachedIsAskedEverMoreSlowly) {
  door_.failure = "connection refused";
  run();
  EXPECT_FALSE(standing().is_reachable);
  EXPECT_EQ(troubles_.size(), 1u);
  const int before = door_.polls;
  world_.advance_ms(600'000);
  EXPECT_LT(door_.polls - before, 20);
  EXPECT_EQ(troubles_.size(), 1u) << "said once";
  door_.failure.clear();
  world_.advance_ms(61'000);
  run();
  EXPECT_TRUE(standing().is_reachable);
  EXPECT_EQ(recoveries_, 1);
  door_.add("late", "{}");
  world_.advance_ms(2'000);
  run();
  EXPECT_EQ(delivered(), 1u);
}

TEST_F(QueueIntakeTest, ChangesOfTheConfigurationTakeEffectWithoutTouchingTheOthers) {
  const int before = door_.polls;
  intake_->configure(sources(R"({"a": {"queue": "q"}, "b": {"queue": "other"}})"));
  EXPECT_EQ(door_.polls, before + 1);
  EXPECT_EQ(intake_->standings().size(), 2u);
  intake_->configure({});
  EXPECT_TRUE(intake_->standings().empty());
  door_.add("late", "{}");
  run();
  EXPECT_EQ(delivered(), 0u);
}

}  // namespace
}  // namespace sortie::events
