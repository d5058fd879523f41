#include "server_node.h"

namespace sortie::simulation {

Node::Node(VirtualLoop& world, store::Store& shared, Outside& outside, std::uint64_t seed)
    : loop(world), store(shared, loop), random(seed), outside_(outside) {}

Status Node::start() {
  SORTIE_TRY(const store::Epoch epoch, store.acquire(0));
  audit = std::make_unique<response::Audit>(loop, store, response::Lease{0, epoch});
  people = std::make_unique<response::People>(loop, random, store, *audit);
  approvals = std::make_unique<response::Approvals>(loop, store, *audit, *people);
  runtime::Options options;
  options.epoch = epoch;
  // Small enough that executions are recovered early, in several slices, and dropped from memory.
  options.recovery_page = 1 + random.next() % 6;
  if (random.next() % 2 == 0) options.open_in_memory_max = random.next() % 7;
  runtime = runtime::Runtime::make(loop, random, store, *this, options);
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

}  // namespace sortie::simulation
