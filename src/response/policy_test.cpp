#include "response/policy.h"

#include <gtest/gtest.h>

namespace sortie::response {
namespace {

std::vector<std::string> texts(const std::vector<Error>& errors) {
  std::vector<std::string> all;
  for (const Error& error : errors) all.push_back(error.place + " " + error.message);
  return all;
}

TEST(Policy, ReadsEveryField) {
  ApprovalConfig config;
  const auto errors = read_policy_file(R"(name: ir-leads
quorum: 2
from: [group:ir-leads, person:carol]
exclude: [initiator]
distinct: true
veto: false
expires_after: 4h
on_expire: reject
require_plan_hash: true
)",
                                       "policies/ir.yaml", config);
  EXPECT_EQ(texts(errors), std::vector<std::string>{});
  const Policy* policy = config.find_policy("ir-leads");
  ASSERT_NE(policy, nullptr);
  EXPECT_EQ(policy->quorum, 2);
  EXPECT_EQ(policy->from.size(), 2u);
  EXPECT_TRUE(policy->exclude_initiator);
  EXPECT_FALSE(policy->veto);
  EXPECT_EQ(policy->expires_after_ms, 4 * 3'600'000);
  EXPECT_EQ(policy->on_expire, Policy::OnExpire::kReject);
  EXPECT_TRUE(policy->require_plan_hash);
  EXPECT_EQ(policy_from_json(to_json(*policy)).value(), *policy) << "a snapshot reads back equal";
}

TEST(Policy, EveryMistakeHasAFileALineAndACure) {
  ApprovalConfig config;
  const auto errors = read_policy_file(R"(name: x
quorum: 0
form: [alice]
from: [alice]
exclude: [author]
veto: yes
expires_after: soon
on_expire: never
)",
                                       "policies/bad.yaml", config);
  EXPECT_EQ(texts(errors), (std::vector<std::string>{
                               "policies/bad.yaml:3:7 Unknown key \"form\"",
                               "policies/bad.yaml:2:9 quorum must be a whole number from 1 to 100",
                               "policies/bad.yaml:7:16 expires_after must be a duration from 1s to 365d",
                               "policies/bad.yaml:8:12 on_expire must be timeout or reject",
                               "policies/bad.yaml:4:8 \"alice\" is neither a group nor a person",
                               "policies/bad.yaml:5:11 Cannot exclude \"author\"",
                               "policies/bad.yaml:6:7 veto must be true or false",
                           }));
  for (const Error& error : errors) EXPECT_FALSE(error.hint.empty());
  EXPECT_TRUE(config.policies.empty()) << "a policy that was misread lets nobody decide";
}

TEST(Policy, ABrokenPolicyLeavesTheOthers) {
  ApprovalConfig config;
  const auto errors =
      read_policy_file("policies:\n  - name: a\n  - quorum: 2\n  - name: a\n  - 7\n", "p.yaml", config);
  EXPECT_EQ(errors.size(), 3u);
  EXPECT_EQ(config.policies.size(), 1u);
  EXPECT_EQ(read_policy_file("a: [", "p.yaml", config).size(), 1u);
}

TEST(Policy, ReadsTheSectionOfTheConfiguration) {
  const auto document = json::parse_yaml(R"(approvals:
  queues:
    - approval-queue
    - {queue: "https://sqs.eu-west-1.amazonaws.com/123456789012/big", policy: two}
  groups: {ir-leads: [alice, bob]}
  policies:
    - {name: two, quorum: 2}
)");
  ApprovalConfig config;
  EXPECT_TRUE(read_approvals_section(*document, "/approvals", "sortie.yaml", config).empty());
  ASSERT_EQ(config.queues.size(), 2u);
  EXPECT_EQ(config.queues[0].policy, "default");
  EXPECT_EQ(config.groups["ir-leads"].size(), 2u);
  EXPECT_NE(config.find_policy("two"), nullptr);
  EXPECT_NE(config.find_policy("default"), nullptr);
  EXPECT_TRUE(check_references(config, "sortie.yaml").empty());
  config.queues[0].policy = "none";
  EXPECT_EQ(check_references(config, "sortie.yaml").size(), 1u);
  EXPECT_TRUE(read_approvals_section(*document, "/absent", "sortie.yaml", config).empty());
}

TEST(Policy, QueuesAreFoundByNameUrlAndArn) {
  const char* url = "https://sqs.us-east-1.amazonaws.com/123456789012/approval-queue";
  const char* arn = "arn:aws:sqs:us-east-1:123456789012:approval-queue";
  EXPECT_TRUE(queue_matches("approval-queue", url));
  EXPECT_TRUE(queue_matches("approval-queue", arn));
  EXPECT_TRUE(queue_matches(url, arn));
  EXPECT_TRUE(queue_matches(arn, "http://127.0.0.1:5000/123456789012/approval-queue"));
  EXPECT_FALSE(queue_matches(arn, "http://127.0.0.1:5000/999999999999/approval-queue"));
  EXPECT_FALSE(queue_matches("approval-queue", "https://sqs.us-east-1.amazonaws.com/123456789012/other"));
  EXPECT_FALSE(queue_matches("approval-queue", ""));
  EXPECT_FALSE(queue_matches("", ""));
}

TEST(Policy, Durations) {
  EXPECT_EQ(duration_text(900'000), "15m");
  EXPECT_EQ(duration_text(86'400'000), "1d");
}

}  // namespace
}  // namespace sortie::response
