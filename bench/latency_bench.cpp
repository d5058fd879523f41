// Times that people notice, on the real event loop:
//
//   dispatch   from asking for an execution to its first task leaving, idle: one durable commit lies between.
//              Held against the one-row commit of a plain SQLite table (raw_append.h) in the same run
//   timers     how late 1,000 timers a second fire: from the moment a Wait state is due to its durable end
//   history    CPU time of a transition of executions that are at the start of their history, and of the same
//              ones when they have 24,000 events
//
//   latency_bench [--folder DIR]
#include <cstring>

#include "engine_world.h"
#include "io/event_loop.h"

namespace {

using namespace sortie;
using namespace sortie::bench;
using RealWorld = WorldOf<io::EventLoop>;

constexpr std::size_t kDispatches = 500;
constexpr std::size_t kTimers = 5'000;
constexpr std::int64_t kTimersPerSecond = 1'000;
constexpr std::size_t kGrowing = 16;                  // Executions whose history grows.
constexpr std::uint64_t kGrowingTransitions = 4'800;  // Of each: five events a transition.

void start(runtime::Runtime& runtime, const char* machine, std::string name, std::string input,
           std::function<void()> done) {
  runtime::StartRequest request;
  request.state_machine_arn = std::string(kPrefix) + machine;
  request.name = std::move(name);
  request.input_text = std::move(input);
  runtime.start_execution(std::move(request), [done = std::move(done)](Result<runtime::StartReply> reply) {
    if (!reply) fail(to_text(reply.error()));
    done();
  });
}

void measure_dispatch(const std::string& folder) {
  RawAppender raw(folder + "/raw.db", 1'069);
  raw.measure(1, 1.0);
  std::vector<double> latencies;
  RealWorld world(folder + "/dispatch");
  SteadyClock::time_point asked;
  bool dispatched = true;
  world.on_dispatch = [&] {
    if (!dispatched) latencies.push_back(seconds_since(asked));
    dispatched = true;
  };
  for (std::size_t i = 0; i < kDispatches; ++i) {
    dispatched = false;
    asked = SteadyClock::now();
    start(*world.runtime, "parked", "", "{}", [] {});
    world.loop.run_until([&] { return dispatched && world.runtime->figures().mailbox == 0; });
  }
  const double commit = quantile(raw.latencies, 0.5);
  for (const double part : {0.5, 0.99}) {
    const double found = quantile(latencies, part);
    std::printf("dispatch  p%-4.0f %8.3f ms, %5.2f x the median one-row commit of %.3f ms (p99 %.3f ms)\n",
                part * 100, found * 1e3, found / commit, commit * 1e3, quantile(raw.latencies, 0.99) * 1e3);
  }
}

void measure_timers(const std::string& folder) {
  RealWorld world(folder + "/timers");
  const Timestamp first = world.loop.now().plus_ms(4'000);
  std::vector<double> late_ms;
  const auto observer = world.runtime->observe([&](const runtime::ExecutionChange& change) {
    if (change.status != store::ExecutionStatus::kSucceeded) return;
    const std::string number = change.execution_arn.substr(change.execution_arn.rfind(':') + 2);
    const std::int64_t at = std::strtoll(number.c_str(), nullptr, 10) * 1'000 / kTimersPerSecond;
    late_ms.push_back(static_cast<double>(world.loop.now().ms - first.plus_ms(at).ms));
  });
  std::size_t started = 0;
  for (std::size_t i = 0; i < kTimers; ++i) {
    const Timestamp at = first.plus_ms(static_cast<std::int64_t>(i) * 1'000 / kTimersPerSecond);
    start(*world.runtime, "waiting", "t" + std::to_string(i), R"({"at":")" + to_iso8601(at) + R"("})",
          [&started] { ++started; });
  }
  world.loop.run_until([&] { return started == kTimers; });
  if (world.loop.now() > first)
    std::printf("timers    the starts took too long: lateness is not that of timers\n");
  world.loop.run_until([&] { return late_ms.size() == kTimers; });
  std::printf("timers    %lld a second: late by p50 %.0f ms, p99 %.0f ms, at most %.0f ms\n",
              static_cast<long long>(kTimersPerSecond), quantile(late_ms, 0.5), quantile(late_ms, 0.99),
              quantile(late_ms, 1));
}

void measure_history(const std::string& folder) {
  World world(folder + "/history");
  for (std::size_t i = 0; i < kGrowing; ++i) {
    start(*world.runtime, "endless", "h" + std::to_string(i), R"({"finding":{"id":"0123456789abcdef"}})",
          [] {});
  }
  const auto cpu_of = [&](std::uint64_t from, std::uint64_t to) {
    world.loop.run_until([&] { return world.runtime->figures().transitions >= from; });
    const std::uint64_t before = world.runtime->figures().transitions;
    const double cpu = cpu_seconds();
    world.loop.run_until([&] { return world.runtime->figures().transitions >= to; });
    return (cpu_seconds() - cpu) * 1e6 / static_cast<double>(world.runtime->figures().transitions - before);
  };
  constexpr std::uint64_t kAll = kGrowing * kGrowingTransitions, kWindow = kAll / 10;
  const double early = cpu_of(kGrowing * 2, kGrowing * 2 + kWindow);
  const double late = cpu_of(kAll - kWindow, kAll);
  std::printf("history   CPU us a transition: %.1f from 10 events on, %.1f up to 24,000 events: %.2f x\n",
              early, late, late / early);
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = (std::filesystem::current_path() / "latency-bench").string();
  if (argc == 3 && std::strcmp(argv[1], "--folder") == 0) {
    folder = argv[2];
  } else if (argc != 1) {
    fail("known options: --folder DIR");
  }
  std::filesystem::create_directories(folder);
  measure_dispatch(folder);
  measure_timers(folder);
  measure_history(folder);
  std::filesystem::remove_all(folder);
  return 0;
}
