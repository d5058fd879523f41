#pragma once
// What one floor needs of another, joined: cli/ is the only place that knows all concrete types.
#include "api/aws_call.h"
#include "api/key_ring.h"
#include "api/server.h"
#include "events/api.h"
#include "events/event_bus.h"
#include "events/queue_source.h"
#include "events/target_invoker.h"
#include "functions/function_service.h"
#include "integrations/approval_desk.h"
#include "integrations/events.h"
#include "integrations/sdk_worker.h"
#include "response/people.h"
#include "runtime/runtime.h"

namespace sortie::cli {

// People's, accounts' and function workers' keys.
class Keys final : public api::KeyRing {
 public:
  Keys(const response::People& people, const functions::FunctionService& functions)
      : people_(people), functions_(functions) {}
  std::optional<api::SigningKey> find(std::string_view access_key_id) const override;
  bool was_handed(const api::SigningKey& key, std::string_view task_token) const override;

 private:
  const response::People& people_;
  const functions::FunctionService& functions_;
};

class LambdaApi final : public api::LambdaDoor {
 public:
  LambdaApi(functions::FunctionService& service, std::string region)
      : service_(service), region_(std::move(region)) {}
  bool is_lambda_path(std::string_view path) const override;
  std::optional<Permission> required_permission(const io::HttpRequest& request,
                                                const std::string& account) const override;
  void handle(const io::HttpRequest& request, const std::string& account,
              std::function<void(io::HttpResponse)> done) override;

 private:
  functions::FunctionService& service_;
  std::string region_;
};

class EventsService final : public api::AwsService {
 public:
  explicit EventsService(events::EventBus& bus) : api_(bus) {}
  void handle(api::AwsCall call, api::AwsReply reply) override;

 private:
  events::EventsApi api_;
};

// events:putEvents of a playbook onto our own bus. The bus is made after the integration, so it is attached.
class BusSink final : public integrations::EventSink {
 public:
  explicit BusSink(Loop& loop) : loop_(loop) {}
  void attach(events::EventBus& bus) { api_.emplace(bus); }
  void put_events(json::Value entries, const Actor& actor, std::string idempotency_key,
                  std::function<void(Result<json::Value>)> done) override;

 private:
  Loop& loop_;
  std::optional<events::EventsApi> api_;
};

// Where rules deliver to.
class Targets final : public events::TargetInvoker {
 public:
  struct Wiring {
    Loop& loop;
    runtime::Runtime& runtime;
    functions::FunctionService& functions;
    integrations::SdkPool& pool;
    integrations::ApprovalDesk& desk;
    std::string region, endpoint_url;
  };
  explicit Targets(Wiring wiring) : wiring_(std::move(wiring)) {}
  void deliver(events::TargetOrder order, Callback done) override;

 private:
  void start_execution(events::TargetOrder order, Callback done);
  void invoke_function(events::TargetOrder order, Callback done);
  void send(events::TargetOrder order, Callback done);
  void write_log(const events::TargetOrder& order, const Callback& done);

  Wiring wiring_;
};

// Queues as sources of events, through the AWS worker.
class SdkQueues final : public events::QueueDoor {
 public:
  struct Wiring {
    integrations::SdkPool& pool;
    std::string account, region, endpoint_url;
  };
  explicit SdkQueues(Wiring wiring) : wiring_(std::move(wiring)) {}
  void receive(const std::string& queue,
               std::function<void(Result<std::vector<events::QueueMessage>>)> done) override;
  void remove(const std::string& queue, std::vector<std::string> receipts,
              std::function<void(Status)> done) override;

 private:
  integrations::SdkCall call(const std::string& queue, const char* action,
                             json::ObjectBuilder parameters) const;

  Wiring wiring_;
};

}  // namespace sortie::cli
