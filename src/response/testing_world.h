#pragma once
// A server's approvals in a test: one process over fakes, that asks, decides and dies. Included by *_test.cpp
// only.
#include <gtest/gtest.h>

#include "integrations/testing/fakes.h"
#include "response/approvals.h"

namespace sortie::response {

inline constexpr const char* kQueueUrl = "https://sqs.us-east-1.amazonaws.com/123456789012/approval-queue";
inline constexpr const char* kExecution = "arn:aws:states:us-east-1:123456789012:execution:ir:run-1";

inline Actor test_person(const std::string& name) {
  Actor actor;
  actor.kind = Actor::Kind::kPerson;
  actor.name = name;
  return actor;
}

// One server process; `crash` throws its memory away and starts another one on what the store holds.
class ApprovalsWorld : public testing::Test {
 protected:
  ApprovalsWorld() : store(loop), runtime(loop, store), random(7) {
    boot();
    for (const char* name : {"alice", "bob", "carol"}) {
      people->add(name, {"ir-leads"}, Actor{}, [](const Result<NewPerson>& made) { ASSERT_TRUE(made.ok()); });
    }
    loop.run();
    runtime.executions[kExecution].arn = kExecution;
  }

  // Tests of what stands on approvals make it here, and again after a crash.
  virtual void boot_more() {}
  virtual void forget_more() {}

  void boot() {
    audit = std::make_unique<Audit>(loop, store, Lease{0, 1});
    people = std::make_unique<People>(loop, random, store, *audit);
    ASSERT_TRUE(people->load().ok());
    approvals = std::make_unique<Approvals>(loop, store, *audit, *people);
    approvals->configure(config());
    ASSERT_TRUE(approvals->load().ok());
    approvals->start(runtime);
    loop.run();
    boot_more();
    loop.run();
  }
  void crash() {
    loop.forget_everything();
    store.forget_queue();
    store.lose_callbacks = store.hold = store.fail = false;
    forget_more();
    approvals.reset();
    people.reset();
    audit.reset();
    boot();
  }
  ApprovalConfig config() const { return {{policy}, {{"approval-queue", policy.name}}, {}}; }

  runtime::TaskOrder order(std::uint32_t attempt = 1) {
    runtime::TaskOrder order;
    order.key = {4, 0, 2, attempt};
    order.idempotency_key = "store.4.0.2." + std::to_string(attempt);
    order.origin.edit().execution_arn = kExecution;
    order.origin.edit().execution_name = "run-1";
    order.origin.edit().state_machine_arn = "arn:aws:states:us-east-1:123456789012:stateMachine:ir";
    order.state_name = std::string("WaitForApproval");
    order.task_token = "token-" + std::to_string(attempt);
    order.origin.edit().actor = initiator;
    order.deadline = deadline;
    runtime.wait_for(order.task_token, order.key);
    runtime.reasons = {{0, "WaitForApproval", "token", loop.now(), {}, ""}};
    return order;
  }
  json::Value message(const std::string& token = "token-1") {
    return json::
        parse(R"({"title":"Isolate i-0abc","plan":[{"resource":"i-0abc","before":"sg-web","after":"sg-forensic"}],
                           "incident":{"severity":8},"taskToken":")" +
              token + R"(","note":"answer with )" + token + R"("})")
            .value();
  }
  std::string ask(std::uint32_t attempt = 1) {
    std::string id;
    const runtime::TaskOrder made = order(attempt);
    approvals->open(made, kQueueUrl, message(made.task_token),
                    [&id](Result<std::string> opened) { id = opened.ok() ? *opened : opened.error().code; });
    loop.run();
    return id;
  }
  // What decide answers: a status, or an error's code.
  std::string decide(const std::string& id, const std::string& name, bool approve,
                     std::optional<std::string> hash = {}) {
    return decide({id, test_person(name), approve, "because it is right", hash, "cli"});
  }
  std::string decide(DecideRequest request) {
    std::string answer = "no answer";
    approvals->decide(std::move(request), [&](const Result<Approval>& result) {
      answer = result.ok() ? std::string(status_name(result->status)) : result.error().code;
      last_message = result.ok() ? "" : result.error().message;
    });
    loop.run();
    return answer;
  }
  std::vector<AuditEntry> audit_of(const std::string& action) {
    AuditQuery query;
    query.action = action;
    return audit->query(query).value();
  }
  std::string status(const std::string& id) {
    const Result<Approval> found = approvals->find(id);
    return found.ok() ? std::string(status_name(found->status)) : found.error().code;
  }

  fakes::ManualLoop loop;
  fakes::FakeStore store;
  fakes::FakeRuntime runtime;
  SeededRandom random;
  Policy policy{.name = "ir-leads", .from = {"group:ir-leads"}};
  Actor initiator{Actor::Kind::kRule, "guardduty"};
  Timestamp deadline = kNever;
  std::unique_ptr<Audit> audit;
  std::unique_ptr<People> people;
  std::unique_ptr<Approvals> approvals;
  std::string last_message;
};

}  // namespace sortie::response
