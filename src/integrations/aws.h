#pragma once
// Everything that is the AWS SDK's work: aws-sdk:SERVICE:ACTION, the optimised integrations that are one call
// (sqs, sns, dynamodb, ...), http:invoke and apigateway:invoke (sdk_worker/http_tasks.py), and bare topic and
// queue ARNs, taken for what their authors meant. With .waitForTaskToken the call's answer is what was
// submitted, and the task goes on waiting.
//
// A queue that is configured for approvals never gets a message: its message becomes an approval, and the
// task gets the answer SQS would have given. Such a queue without a token to wait for is refused
// ("Sortie.ApprovalNeedsTaskToken"): nobody could ever hear the answer.
//
// Step Functions, EventBridge and Lambda as aws-sdk calls go to Sortie itself (own_endpoint), everything else
// to the configured account. What has the pattern .sync is a job (jobs.h). eks:call and eks:runJob speak to
// the cluster's own API (sdk_worker/eks.py). HTTP tasks and they have workers of their own: a server that
// takes a minute for each answer holds up nobody's calls of AWS.
#include <functional>
#include <map>
#include <string>

#include "integrations/approval_desk.h"
#include "integrations/dispatcher.h"
#include "integrations/jobs.h"
#include "integrations/sdk_worker.h"

namespace sortie::integrations {

struct AwsOptions {
  std::string region = "us-east-1";
  std::string endpoint_url;          // aws.endpoint_url; "" is real AWS.
  json::Value credentials;           // Null: the SDK's usual chain.
  bool assume_machine_role = false;  // Act as the state machine's role, not as ourselves.
  // The header `traceparent` of an HTTP task; without it none is sent but a playbook's own.
  std::function<std::string(const runtime::TaskOrder&)> trace_parent{};
};

// The question whether `result` could be what this resource answers; see SdkCall::check.
SdkCall make_result_check(const asl::TaskResource& resource, json::Value result, bool strict);

class AwsIntegration final : public Integration {
 public:
  // `desk` may be null: then no queue is an approval.
  AwsIntegration(Loop& loop, SdkPool& pool, AwsOptions options, ApprovalDesk* desk);
  ~AwsIntegration() override;

  // Where Sortie itself listens, and with which key the calls of an account are signed.
  void set_own_endpoint(std::string url, std::function<json::Value(std::string_view account)> credentials);

  // Who carries out .sync; without it such tasks are refused. Outlives us.
  void set_jobs(Jobs& jobs) { jobs_ = &jobs; }
  // Who makes HTTP requests; without it, whoever calls AWS. Outlives us.
  void set_http_pool(SdkPool& pool) { http_pool_ = &pool; }
  // Adds where the configured account is, and its keys.
  void complete(SdkCall& call) const;

  void start(const runtime::TaskOrder& order, Report report) override;
  void cancel(const runtime::AttemptKey& key) override;

 private:
  struct Question;
  void send(const runtime::TaskOrder& order, SdkCall call, const Report& report);
  SdkCall make_call(const runtime::TaskOrder& order) const;
  bool start_approval(const runtime::TaskOrder& order, const SdkCall& call, const Report& report);
  void ask(std::shared_ptr<Question> question);

  Loop& loop_;
  SdkPool& pool_;
  AwsOptions options_;
  ApprovalDesk* desk_;
  Jobs* jobs_ = nullptr;
  SdkPool* http_pool_ = nullptr;
  std::string own_endpoint_;
  std::function<json::Value(std::string_view)> own_credentials_;
  struct Call {
    SdkPool* pool;
    SdkPool::CallNo number;
  };
  std::map<runtime::AttemptKey, Call> calls_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace sortie::integrations
