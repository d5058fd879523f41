#include "server_node.h"

namespace sortie::simulation {

Node::Node(VirtualLoop& world, store::Store& shared, Outside& outside, std::uint64_t seed)
    : loop(world), store(shared, loop), random(seed), outside_(outside) {
  store.around_commits = [this] { outside_.at_commit(*this); };
}

void Node::make_runtime(store::Epoch epoch) {
  runtime::Options options;
  options.epoch = epoch;
  options.objects = this;
  // Small enough that executions are recovered early, in several slices, and dropped from memory; that
  // mailboxes are full and callers are throttled.
  options.recovery_page = 1 + random.next() % 6;
  if (random.next() % 2 == 0) options.open_in_memory_max = random.next() % 7;
  if (random.next() % 3 == 0) options.mailbox_max = 3 + random.next() % 6;
  options.audit_step_ms = 1'000 + static_cast<std::int64_t>(random.next() % 30'000);
  options.audit_grace_ms = kAuditGraceMs;
  options.audit_pause_ms = 3 * 3'600'000;
  options.on_stuck = [this](const runtime::StuckFrame& found) { outside_.found_stuck(*this, found); };
  runtime = runtime::Runtime::make(loop, random, store, *this, options);

  dispatcher = std::make_unique<integrations::Dispatcher>(loop);
  nested = std::make_unique<integrations::StatesIntegration>(loop, store);
  dispatcher->add("states", *nested);
  dispatcher->attach(*runtime);
  nested->attach(*runtime, [this, epoch](store::Batch batch) {
    batch.epoch = epoch;
    store.append(std::move(batch), [](const Status&) {});
  });
}

Status Node::start() {
  SORTIE_TRY(const store::Epoch epoch, store.acquire(0));
  audit = std::make_unique<response::Audit>(loop, store, response::Lease{0, epoch});
  people = std::make_unique<response::People>(loop, random, store, *audit);
  approvals = std::make_unique<response::Approvals>(loop, store, *audit, *people);
  make_runtime(epoch);
  events::BusOptions bus_options;
  bus_options.delivery.in_flight_max = 4;
  bus_options.delivery.attempt_ms_max = 30'000;
  bus_options.delivery.retry_ms_max = 60'000;
  bus = std::make_unique<events::EventBus>(loop, random, store, *this, bus_options);

  SORTIE_TRY_STATUS(people->load());
  response::Policy policy;
  policy.name = "leads";
  policy.quorum = 2;
  policy.expires_after_ms = 3'600'000;
  policy.on_expire = response::Policy::OnExpire::kReject;
  policy.allow_unknown_initiator = true;
  approvals->configure({{policy}, {{"approval-queue", policy.name}}, {}});
  SORTIE_TRY_STATUS(approvals->load());
  SORTIE_TRY_STATUS(runtime->recover());
  approvals->start(*runtime);
  SORTIE_TRY_STATUS(bus->recover(events::Lease{0, epoch}));
  up_ = true;
  return {};
}

// As the program does it: the delivery's id is the execution's name.
void Node::deliver(events::TargetOrder order, Callback done) {
  runtime::StartRequest request;
  request.state_machine_arn = order.arn;
  request.name = order.delivery_id;
  request.input_text = order.payload;
  request.actor = order.actor;
  runtime->start_execution(std::move(request),
                           [done = std::move(done)](const Result<runtime::StartReply>& reply) {
                             if (!reply) return done(reply.error());
                             done(events::TargetReply{reply->execution_arn});
                           });
}

// Executions that are started by executions are the program's own work; all else is the world's.
void Node::dispatch(runtime::TaskOrder order) {
  if (order.resource->resource_type == "states") return dispatcher->dispatch(std::move(order));
  under_way_.insert(order.key);
  outside_.dispatched(*this, order);
}

void Node::cancel(const runtime::AttemptKey& key) {
  approvals->close(key);
  dispatcher->cancel(key);
  under_way_.erase(key);
}

bool Node::holds(const runtime::AttemptKey& key) const {
  return under_way_.contains(key) || dispatcher->holds(key);
}

void Node::answer(const runtime::AttemptKey& key, const json::Value& result) {
  under_way_.erase(key);
  runtime->task_succeeded(key, result);
}

void Node::answer_failure(const runtime::AttemptKey& key, const std::string& error,
                          const std::string& cause) {
  under_way_.erase(key);
  runtime->task_failed(key, error, cause);
}

void Node::read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) {
  loop.call_at(loop.now().plus_ms(outside_.read_ms()), [request, done] {
    const std::string bytes(
        kItemsObject.substr(std::min<std::size_t>(request.offset, kItemsObject.size()), 4));
    done(runtime::ObjectPiece{bytes, request.offset + bytes.size() >= kItemsObject.size(), "etag"});
  });
}

}  // namespace sortie::simulation
