#include "integrations/aws.h"

#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "integrations/results.h"
#include "json/text.h"

namespace sortie::integrations {
namespace aws_task {

constexpr std::int64_t kCallMsDefault = 300'000;
constexpr std::int64_t kCallMsMax = 3'600'000;
constexpr std::int64_t kAskAgainMsMax = 30'000;

// The last part of "aws-sdk:dynamodb", or the whole of "dynamodb".
std::string service_of(const asl::TaskResource& resource) {
  const std::string& type = resource.resource_type;
  return type.substr(type.rfind(':') == std::string::npos ? 0 : type.rfind(':') + 1);
}

bool is_sdk(const asl::TaskResource& resource) { return resource.resource_type.rfind("aws-sdk:", 0) == 0; }

// What Sortie is itself, by the names that aws-sdk gives it.
bool is_own_service(const std::string& service) {
  return service == "sfn" || service == "eventbridge" || service == "lambda";
}

bool is_job(const asl::TaskResource& resource) {
  return resource.pattern == asl::TaskPattern::kSync || resource.pattern == asl::TaskPattern::kSync2;
}

// Whether somebody else's server answers, as slowly as it likes.
bool is_http(const SdkCall& call) {
  if (!call.is_optimized) return false;
  return call.service == "http" || call.service == "apigateway" ||
         (call.service == "eks" && (call.action == "call" || call.action == "runJob"));
}

std::string message_text(const json::Value& parameters) {
  return parameters.is_string() ? parameters.to_std_string() : json::to_text(parameters);
}

// https://sqs.REGION.amazonaws.com/ACCOUNT/NAME of arn:aws:sqs:REGION:ACCOUNT:NAME.
std::string queue_url(const asl::TaskResource& resource) {
  const std::string name = resource.text.substr(resource.text.rfind(':') + 1);
  return "https://sqs." + resource.region + ".amazonaws.com/" + resource.account + "/" + name;
}

// What SQS answers; the approval stands where the message would.
json::Value sent_message(const json::Value& message, const std::string& approval_id, bool is_sdk,
                         Timestamp now) {
  const std::string body = message_text(message);
  const std::string request_id = derived_uuid("request " + approval_id);
  json::ObjectBuilder object;
  object.append(is_sdk ? "Md5OfMessageBody" : "MD5OfMessageBody", to_hex(digest(Digest::kMd5, body)));
  object.append("MessageId", derived_uuid("message " + approval_id));
  if (is_sdk) return object.build();
  append_sdk_metadata(object,
                      {{"x-amzn-RequestId", request_id},
                       {"connection", "keep-alive"},
                       {"Content-Length", "106"},
                       {"Date", http_date(now)},
                       {"Content-Type", "application/x-amz-json-1.0"}},
                      200, request_id);
  return object.build();
}

}  // namespace aws_task

// One approval that is to be made, however often the store refuses.
struct AwsIntegration::Question {
  runtime::TaskOrder order;
  std::string queue;
  Report report;
  std::int64_t again_ms = 1'000;
};

AwsIntegration::AwsIntegration(Loop& loop, SdkPool& pool, AwsOptions options, ApprovalDesk* desk)
    : loop_(loop), pool_(pool), options_(std::move(options)), desk_(desk) {}

AwsIntegration::~AwsIntegration() {
  for (const auto& [key, call] : calls_) call.pool->cancel(call.number);
}

void AwsIntegration::set_own_endpoint(std::string url,
                                      std::function<json::Value(std::string_view)> credentials) {
  own_endpoint_ = std::move(url);
  own_credentials_ = std::move(credentials);
}

SdkCall make_result_check(const asl::TaskResource& resource, json::Value result, bool strict) {
  SdkCall call;
  call.service = aws_task::service_of(resource);
  call.action = action_of(resource);
  call.is_optimized = !aws_task::is_sdk(resource);
  // A function's answer is any JSON here, bytes in the model.
  if (call.is_optimized && call.service == "lambda") {
    result = json::ObjectBuilder(result).erase("Payload").build();
  }
  call.parameters = std::move(result);
  call.check = strict ? "strict" : "present";
  call.timeout_ms = aws_task::kCallMsDefault;
  return call;
}

SdkCall AwsIntegration::make_call(const runtime::TaskOrder& order) const {
  SdkCall call;
  call.service = aws_task::service_of(*order.resource);
  call.action = action_of(*order.resource);
  call.is_optimized = !aws_task::is_sdk(*order.resource);
  call.parameters = order.parameters;
  call.lane = order.origin->state_machine_arn;
  call.region = order.resource->region.empty() ? options_.region : order.resource->region;
  if (order.resource->is_bare_topic) {
    call.parameters = json::Value::object(
        {{"TopicArn", order.resource->text}, {"Message", aws_task::message_text(order.parameters)}});
  } else if (order.resource->is_bare_queue) {
    call.parameters = json::Value::object({{"QueueUrl", aws_task::queue_url(*order.resource)},
                                           {"MessageBody", aws_task::message_text(order.parameters)}});
  }
  call.timeout_ms = aws_task::kCallMsDefault;
  if (order.deadline != kNever) {
    const std::int64_t left_ms = order.deadline.ms - loop_.now().ms;
    call.timeout_ms = std::clamp<std::int64_t>(left_ms, 1'000, aws_task::kCallMsMax);
  }
  if (!call.is_optimized && aws_task::is_own_service(call.service) && !own_endpoint_.empty()) {
    call.endpoint_url = own_endpoint_;
    call.credentials = own_credentials_(acting_account_of(order));
    return call;
  }
  complete(call);
  const json::Value& role = order.credentials.get("RoleArn");
  if (role.is_string()) {
    call.role_arn = role.to_std_string();
  } else if (options_.assume_machine_role) {
    call.role_arn = order.origin->role_arn;
  }
  if (!call.role_arn.empty()) call.role_session_name = order.origin->execution_name;
  return call;
}

void AwsIntegration::complete(SdkCall& call) const {
  call.endpoint_url = options_.endpoint_url;
  call.credentials = options_.credentials;
}

void AwsIntegration::start(const runtime::TaskOrder& order, Report report) {
  const bool is_job = aws_task::is_job(*order.resource);
  if (is_job && jobs_ == nullptr) {
    return report.failed("Sortie.NotSupportedYet", order.resource->text + " is not supported yet");
  }
  SdkCall call = make_call(order);
  call.trace = order.key.execution == 0 && call.service == "http";
  if (options_.trace_parent && call.service == "http") call.trace_parent = options_.trace_parent(order);
  if (is_job) return jobs_->start(order, std::move(call), report);
  if (start_approval(order, call, report)) return;
  send(order, std::move(call), report);
}

void AwsIntegration::send(const runtime::TaskOrder& order, SdkCall call, const Report& report) {
  SdkPool& pool = http_pool_ != nullptr && aws_task::is_http(call) ? *http_pool_ : pool_;
  const SdkPool::CallNo number =
      pool.call(std::move(call),
                [this, key = order.key, report, alive = std::weak_ptr<int>(alive_)](const SdkAnswer& answer) {
                  if (alive.expired()) return;
                  calls_.erase(key);
                  report.traced(answer.trace);
                  if (answer.ok()) return report.answered(answer.result);
                  report.failed(answer.error, answer.cause);
                });
  calls_[order.key] = {&pool, number};
}

bool AwsIntegration::start_approval(const runtime::TaskOrder& order, const SdkCall& call,
                                    const Report& report) {
  const json::Value& queue = call.parameters.get("QueueUrl");
  if (desk_ == nullptr || call.service != "sqs" || !queue.is_string()) return false;
  if (call.action.rfind("sendMessage", 0) != 0 || !desk_->takes_queue(queue.as_string())) return false;
  const bool waits = order.resource->pattern == asl::TaskPattern::kWaitForTaskToken;
  if (!waits || call.action != "sendMessage") {
    report.failed("Sortie.ApprovalNeedsTaskToken",
                  "The queue " + queue.to_std_string() +
                      " is for approvals; ask with arn:aws:states:::sqs:sendMessage.waitForTaskToken");
    return true;
  }
  if (call.parameters.get("MessageBody").is_null()) {
    report.failed("SQS.AmazonSQSException",
                  service_cause("The request must contain the parameter MessageBody.", "AmazonSQS", 400,
                                "MissingParameter", derived_uuid("request " + order.idempotency_key)));
    return true;
  }
  ask(std::make_shared<Question>(Question{order, queue.to_std_string(), report}));
  return true;
}

void AwsIntegration::ask(std::shared_ptr<Question> question) {
  if (!question->report.is_wanted()) return;
  const json::Value message = question->order.parameters.get("MessageBody");
  desk_->open(
      question->order, question->queue, message,
      [this, question, message, alive = std::weak_ptr<int>(alive_)](const Result<std::string>& id) {
        if (alive.expired()) return;
        if (id.ok()) {
          const bool is_sdk = aws_task::is_sdk(*question->order.resource);
          return question->report.submitted(aws_task::sent_message(message, *id, is_sdk, loop_.now()));
        }
        if (id.error().code != "ServiceUnavailable") {
          return question->report.failed("Sortie." + id.error().code, id.error().message);
        }
        // Our own trouble is not the task's failure.
        const std::int64_t wait_ms = question->again_ms;
        question->again_ms = std::min(wait_ms * 2, aws_task::kAskAgainMsMax);
        loop_.call_at(loop_.now().plus_ms(wait_ms), [this, question, alive] {
          if (!alive.expired()) ask(question);
        });
      });
}

void AwsIntegration::cancel(const runtime::AttemptKey& key) {
  if (desk_ != nullptr) desk_->close(key);
  if (jobs_ != nullptr) jobs_->cancel(key);
  const auto found = calls_.find(key);
  if (found == calls_.end()) return;
  found->second.pool->cancel(found->second.number);
  calls_.erase(found);
}

}  // namespace sortie::integrations
