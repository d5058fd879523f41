#include "cli/adapters.h"

#include "base/text.h"
#include "functions/lambda_api.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::cli {

std::optional<api::SigningKey> Keys::find(std::string_view access_key_id) const {
  api::SigningKey key;
  key.access_key_id = std::string(access_key_id);
  if (const auto holder = people_.find_key(access_key_id)) {
    key.secret_access_key = holder->secret;
    key.account = holder->account;
    key.actor = holder->actor;
    return key;
  }
  if (const auto worker = functions_.find_worker(access_key_id)) {
    key.secret_access_key = worker->secret_access_key;
    key.session_token = worker->session_token;
    key.account = worker->account;
    key.actor = {Actor::Kind::kFunction, worker->function, worker->account, "api", ""};
    key.allowed_actions.emplace(worker->actions.begin(), worker->actions.end());
    return key;
  }
  return std::nullopt;
}

bool Keys::was_handed(const api::SigningKey& key, std::string_view task_token) const {
  return key.actor.kind == Actor::Kind::kFunction &&
         functions_.was_handed(key.account, key.actor.name, task_token);
}

bool LambdaApi::is_lambda_path(std::string_view path) const { return functions::is_lambda_path(path); }

std::optional<api::LambdaDoor::Permission> LambdaApi::required_permission(const io::HttpRequest& request,
                                                                          const std::string& account) const {
  const auto needed = functions::required_permission(request, account, region_);
  if (!needed) return std::nullopt;
  return Permission{needed->action, needed->resource};
}

void LambdaApi::handle(const io::HttpRequest& request, const std::string& account,
                       std::function<void(io::HttpResponse)> done) {
  functions::handle_lambda_request(service_, request, account, std::move(done));
}

void EventsService::handle(api::AwsCall call, api::AwsReply reply) {
  api_.handle(call.operation, call.input, call.caller.actor, std::move(reply));
}

void BusSink::put_events(json::Value entries, const Actor& actor, std::string idempotency_key,
                         std::function<void(Result<json::Value>)> done) {
  if (!api_) {
    return loop_.post([done = std::move(done)] {
      done(Error{"ServiceUnavailable", "the event bus is not there yet", "", ""});
    });
  }
  api_->handle("PutEvents", json::Value::object({{"Entries", std::move(entries)}}), actor, std::move(done),
               std::move(idempotency_key));
}

void Targets::deliver(events::TargetOrder order, Callback done) {
  switch (order.kind) {
    case events::TargetKind::kStateMachine:
      return start_execution(std::move(order), std::move(done));
    case events::TargetKind::kFunction:
      return invoke_function(std::move(order), std::move(done));
    case events::TargetKind::kQueue:
    case events::TargetKind::kTopic:
      return send(std::move(order), std::move(done));
    case events::TargetKind::kLogGroup:
      return write_log(order, done);
    default:
      return wiring_.loop.post([done = std::move(done), arn = order.arn] {
        done(Error{"UnsupportedTarget", "a target of this kind is not supported yet: " + arn, "", ""});
      });
  }
}

void Targets::start_execution(events::TargetOrder order, Callback done) {
  runtime::StartRequest request;
  request.state_machine_arn = order.arn;
  request.name = order.delivery_id;
  request.input_text = order.payload;
  request.actor = order.actor;
  request.trace_header = order.trace_header;
  wiring_.runtime.start_execution(std::move(request),
                                  [done = std::move(done)](Result<runtime::StartReply> reply) {
                                    if (!reply) return done(reply.error());
                                    done(events::TargetReply{reply->execution_arn});
                                  });
}

void Targets::invoke_function(events::TargetOrder order, Callback done) {
  functions::InvokeRequest request;
  request.function = order.arn;
  request.payload = order.payload;
  request.type = functions::InvocationType::kEvent;
  request.idempotency_key = order.delivery_id;
  request.trace_id = order.trace_header;
  wiring_.functions.invoke(std::move(request), [done = std::move(done)](functions::InvokeResult result) {
    if (!result.error_code.empty()) return done(Error{result.error_code, result.error_message, "", ""});
    done(events::TargetReply{result.request_id});
  });
}

void Targets::send(events::TargetOrder order, Callback done) {
  integrations::SdkCall call;
  call.region = wiring_.region;
  call.endpoint_url = wiring_.endpoint_url;
  call.timeout_ms = 30'000;
  json::ObjectBuilder parameters;
  const bool queue = order.kind == events::TargetKind::kQueue;
  json::ObjectBuilder attributes;
  for (const json::Member& member : order.attributes.members()) {
    attributes.append(member.key.as_string(),
                      json::Value::object({{"DataType", "String"}, {"StringValue", member.value}}));
  }
  if (queue && wiring_.desk.takes_queue(order.arn)) {
    return wiring_.loop.post([done = std::move(done), arn = order.arn] {
      done(Error{"InvalidTarget",
                 "the queue is for approvals, which only a task that waits for its token can ask: " + arn, "",
                 ""});
    });
  }
  if (queue) {
    const auto parts = events::parse_arn(order.arn);
    if (!parts) {
      return wiring_.loop.post([done = std::move(done), arn = order.arn] {
        done(Error{"InvalidTarget", "no queue ARN: " + arn, "", ""});
      });
    }
    call.service = "sqs";
    call.action = "sendMessage";
    call.region = parts->region;
    parameters.append("QueueUrl", "https://sqs." + parts->region + ".amazonaws.com/" + parts->account + "/" +
                                      parts->resource);
    parameters.append("MessageBody", order.payload);
    const json::Value& group = order.parameters.get("SqsParameters").get("MessageGroupId");
    if (group.is_string()) parameters.append("MessageGroupId", group);
    if (order.arn.ends_with(".fifo")) parameters.append("MessageDeduplicationId", order.delivery_id);
  } else {
    call.service = "sns";
    call.action = "publish";
    parameters.append("TopicArn", order.arn);
    parameters.append("Message", order.payload);
  }
  if (order.attributes.is_object() && !order.attributes.empty())
    parameters.append("MessageAttributes", attributes.build());
  call.parameters = parameters.build();
  wiring_.pool.call(std::move(call), [done = std::move(done)](const integrations::SdkAnswer& answer) {
    if (!answer.ok()) return done(Error{answer.error, answer.cause, "", ""});
    const json::Value& id = answer.result.get("MessageId");
    done(events::TargetReply{id.is_string() ? id.to_std_string() : std::string()});
  });
}

// As EventBridge does: a log stream for each event. It has the delivery's name, so that a second attempt
// finds the first one's.
void Targets::write_log(const events::TargetOrder& order, const Callback& done) {
  const auto parts = events::parse_arn(order.arn);
  std::string group = parts ? parts->resource.substr(std::string_view("log-group:").size()) : std::string();
  if (group.ends_with(":*")) group.resize(group.size() - 2);
  integrations::SdkCall call;
  call.service = "cloudwatchlogs";
  call.action = "createLogStream";
  call.region = parts ? parts->region : wiring_.region;
  call.endpoint_url = wiring_.endpoint_url;
  call.timeout_ms = 30'000;
  call.parameters = json::Value::object({{"LogGroupName", group}, {"LogStreamName", order.delivery_id}});
  integrations::SdkCall put = call;
  put.action = "putLogEvents";
  const json::Value line =
      json::Value::object({{"Timestamp", wiring_.loop.now().ms}, {"Message", order.payload}});
  put.parameters = json::Value::object({{"LogGroupName", group},
                                        {"LogStreamName", order.delivery_id},
                                        {"LogEvents", json::Value::array({line})}});
  wiring_.pool.call(std::move(call), [this, put, done](const integrations::SdkAnswer& made) {
    if (!made.ok() && made.error.find("ResourceAlreadyExists") == std::string::npos)
      return done(Error{made.error, made.cause, "", ""});
    wiring_.pool.call(put, [done](const integrations::SdkAnswer& written) {
      if (!written.ok()) return done(Error{written.error, written.cause, "", ""});
      done(events::TargetReply{});
    });
  });
}

namespace {

constexpr int kPollSeconds = 20, kPollMessages = 10;

}  // namespace

integrations::SdkCall SdkQueues::call(const std::string& queue, const char* action,
                                      json::ObjectBuilder parameters) const {
  integrations::SdkCall call;
  call.service = "sqs";
  call.action = action;
  call.region = wiring_.region;
  call.endpoint_url = wiring_.endpoint_url;
  call.timeout_ms = (kPollSeconds + 20) * 1'000;
  std::string account = wiring_.account, name = queue;
  if (const auto arn = events::parse_arn(queue)) {
    call.region = arn->region;
    account = arn->account;
    name = arn->resource;
  }
  const bool is_url = queue.find("://") != std::string::npos;
  parameters.append("QueueUrl",
                    is_url ? queue : "https://sqs." + call.region + ".amazonaws.com/" + account + "/" + name);
  call.parameters = parameters.build();
  return call;
}

void SdkQueues::receive(const std::string& queue,
                        std::function<void(Result<std::vector<events::QueueMessage>>)> done) {
  json::ObjectBuilder parameters;
  parameters.append("MaxNumberOfMessages", kPollMessages);
  parameters.append("WaitTimeSeconds", kPollSeconds);
  parameters.append("AttributeNames", json::Value::array({json::Value("ApproximateReceiveCount")}));
  wiring_.pool.call(call(queue, "receiveMessage", std::move(parameters)),
                    [done = std::move(done)](const integrations::SdkAnswer& answer) {
                      if (!answer.ok()) return done(Error{answer.error, answer.cause, "", ""});
                      std::vector<events::QueueMessage> messages;
                      for (const json::Value& item : answer.result.get("Messages").items()) {
                        events::QueueMessage message;
                        message.id = json::text_member(item, "MessageId");
                        message.body = json::text_member(item, "Body");
                        message.receipt = json::text_member(item, "ReceiptHandle");
                        message.receive_count = std::atoi(
                            json::text_member(item.get("Attributes"), "ApproximateReceiveCount").c_str());
                        if (!message.id.empty()) messages.push_back(std::move(message));
                      }
                      done(std::move(messages));
                    });
}

void SdkQueues::remove(const std::string& queue, std::vector<std::string> receipts,
                       std::function<void(Status)> done) {
  std::vector<json::Value> entries;
  for (std::size_t i = 0; i < receipts.size(); ++i) {
    entries.push_back(json::Value::object({{"Id", std::to_string(i)}, {"ReceiptHandle", receipts[i]}}));
  }
  json::ObjectBuilder parameters;
  parameters.append("Entries", json::Value::array(std::move(entries)));
  wiring_.pool.call(
      call(queue, "deleteMessageBatch", std::move(parameters)),
      [done = std::move(done)](const integrations::SdkAnswer& answer) {
        if (!answer.ok()) return done(Error{answer.error, answer.cause, "", ""});
        const json::Value& failed = answer.result.get("Failed");
        if (failed.size() > 0) {
          return done(Error{"SQS." + json::text_member(failed[0], "Code"),
                            "a message cannot be deleted: " + json::text_member(failed[0], "Message"), "",
                            ""});
        }
        done({});
      });
}

}  // namespace sortie::cli
