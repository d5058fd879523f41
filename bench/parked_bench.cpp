// Executions that wait: N of them parked on a task token with a timeout of a day, the process started again,
// then all of them resumed in random order. Prints memory, start-up and rates; the rates of few and of many
// stand side by side, because what waits must not slow down what moves.
//
// Bytes are of memory and of the store's file. Between the start and the resuming it lists and searches, and
// lets others run; afterwards it deletes what has ended while others are started.
//
//   parked_bench [--executions N,N,...] [--clients C] [--folder DIR]
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

#include "engine_world.h"

namespace {

using namespace sortie;
using namespace sortie::bench;

constexpr std::size_t kTokenBytesMax = 256;

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  file >> size >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// Tokens wait in a file, so that the memory measured is the engine's.
class TokenFile {
 public:
  TokenFile(const std::string& path, const char* mode) : file_(std::fopen(path.c_str(), mode)) {
    if (file_ == nullptr) fail("cannot open " + path);
  }
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;
  ~TokenFile() { std::fclose(file_); }
  void add(const std::string& token) {
    char slot[kTokenBytesMax] = {};
    std::memcpy(slot, token.data(), std::min(token.size(), kTokenBytesMax - 1));
    std::fwrite(slot, 1, sizeof(slot), file_);
  }
  std::string at(std::size_t index) {
    char slot[kTokenBytesMax] = {};
    const ssize_t found =
        pread(fileno(file_), slot, sizeof(slot), static_cast<off_t>(index * kTokenBytesMax));
    if (found != static_cast<ssize_t>(sizeof(slot))) fail("a token is missing");
    return slot;
  }

 private:
  std::FILE* file_;
};

// How many a second, and the CPU time of all threads for each: what a busy machine disturbs less.
struct Rate {
  double per_second = 0, cpu_us = 0;
};

// Runs `one` for 0 .. count-1 with at most `clients` under way.
Rate rate_of(World& world, std::size_t count, std::size_t clients,
             const std::function<void(std::size_t, std::function<void()>)>& one) {
  std::size_t begun = 0, done = 0;
  const auto began = SteadyClock::now();
  const double cpu = cpu_seconds();
  std::function<void()> next = [&] {
    if (begun < count) {
      one(begun++, [&] {
        ++done;
        next();
      });
    }
  };
  for (std::size_t i = 0; i < clients; ++i) next();
  world.loop.run_until([&] { return done == count; });
  const auto all = static_cast<double>(count);
  return {all / seconds_since(began), (cpu_seconds() - cpu) * 1e6 / all};
}

void start(World& world, const char* machine, std::function<void()> done) {
  runtime::StartRequest request;
  request.state_machine_arn = std::string(kPrefix) + machine;
  request.input_text =
      R"({"finding":{"id":"0123456789abcdef","severity":8,"instance":"i-0123456789abcdef0"}})";
  world.runtime->start_execution(std::move(request),
                                 [done = std::move(done)](Result<runtime::StartReply> reply) {
                                   if (!reply) fail(to_text(reply.error()));
                                   done();
                                 });
}

struct Parked {
  Rate rate;
  double bytes_each = 0, disk_bytes_each = 0;
};

Parked park(std::size_t count, std::size_t clients, const std::string& folder) {
  TokenFile tokens(folder + "-tokens", "w+b");
  World world(folder);
  world.on_token = [&tokens](const std::string& token) { tokens.add(token); };
  rate_of(world, std::min<std::size_t>(count, 30'000), clients,  // What every run needs, once.
          [&](std::size_t, std::function<void()> done) { start(world, "starts", std::move(done)); });
  const std::size_t before = resident_bytes();
  const std::uint64_t disk_before = world.counting->figures().file_bytes;
  Parked out;
  out.rate = rate_of(world, count, clients, [&](std::size_t, std::function<void()> done) {
    start(world, "parked", std::move(done));
  });
  const auto each = [count](std::uint64_t now, std::uint64_t then) {
    return (static_cast<double>(now) - static_cast<double>(then)) / static_cast<double>(count);
  };
  out.bytes_each = each(resident_bytes(), before);
  out.disk_bytes_each = each(world.counting->figures().file_bytes, disk_before);
  return out;
}

// What moves, while all the others wait: chains of twenty tasks, each answered at once.
void print_cost(World& world) {
  constexpr std::size_t kExecutions = 1'000, kClients = 64;
  const std::uint64_t before = world.runtime->figures().transitions;
  const double cpu = cpu_seconds();
  const auto began = SteadyClock::now();
  rate_of(world, kExecutions, kClients,
          [&](std::size_t, std::function<void()> done) { start(world, "blocking", std::move(done)); });
  world.loop.run_until([&] { return world.runtime->figures().transitions >= before + 20 * kExecutions; });
  std::printf("%10s blocking transitions meanwhile: %.0f a second, CPU us each %.1f\n", "",
              20 * kExecutions / seconds_since(began), (cpu_seconds() - cpu) * 1e6 / (20 * kExecutions));
}

void print_queries(World& world, const std::string& some_name) {
  store::ExecutionQuery of_machine, running;
  of_machine.state_machine_arn = std::string(kPrefix) + "parked";
  running = of_machine;
  running.status = store::ExecutionStatus::kRunning;
  const auto tell = [](const char* what, const std::function<bool()>& ask) {
    std::vector<double> taken;
    for (int i = 0; i < 5; ++i) {
      const auto began = SteadyClock::now();
      if (!ask()) fail(std::string("the executions cannot be listed: ") + what);
      taken.push_back(seconds_since(began) * 1e3);
    }
    std::printf(" %s %.2f;", what, quantile(taken, 0.5));
  };
  const auto list = [&](const store::ExecutionQuery& query) {
    return [&world, query] { return world.counting->list_executions(query).ok(); };
  };
  const auto find = [&](const std::string& name, bool is_prefix) {
    store::TermQuery query{.name = name, .name_is_prefix = is_prefix};
    return [&world, query] { return world.counting->find_by_terms(query).ok(); };
  };
  std::printf("%10s a page of 100, ms:", "");
  tell("newest", list({}));
  tell("of a machine", list(of_machine));
  tell("running of a machine", list(running));
  tell("by name", find(some_name, false));
  tell("by a prefix", find(some_name.substr(0, 4), true));
  tell("by a name that is not there", find("no such name", true));
  const auto began = SteadyClock::now();
  if (!world.counting->count_executions("")) fail("the executions cannot be counted");
  std::printf(" counts %.2f\n", seconds_since(began) * 1e3);
}

// Deletes what has ended, in steps of 200 as the server does, while executions are started a day later.
void print_retention(World& world, std::size_t count) {
  const auto latencies_of = [&](double seconds) {
    std::vector<double> taken;
    const auto began = SteadyClock::now();
    std::size_t in_flight = 0;
    std::function<void()> next = [&] {
      ++in_flight;
      start(world, "starts", [&, asked = SteadyClock::now()] {
        taken.push_back(seconds_since(asked) * 1e3);
        --in_flight;
        if (seconds_since(began) < seconds) next();
      });
    };
    for (int i = 0; i < 16; ++i) next();
    world.loop.run_until([&] { return in_flight == 0; });
    return taken;
  };
  const Timestamp old = world.loop.now().plus_ms(1);
  world.loop.jump_to(old.plus_ms(86'400'000));
  if (!world.counting->delete_ended_before(old, 1)) fail("nothing can be deleted");  // Folds what has ended.
  const std::vector<double> before = latencies_of(2);
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> gone{0};
  double took = 0;
  std::thread sweeper([&] {
    const auto began = SteadyClock::now();
    while (!stop && gone < count / 2) {
      const auto step = world.counting->delete_ended_before(old, 200);
      if (!step) fail(to_text(step.error()));
      gone += *step;
      if (*step == 0) break;
    }
    took = seconds_since(began);
  });
  const std::vector<double> meanwhile = latencies_of(4);
  stop = true;
  sweeper.join();
  std::printf(
      "%10s retention: %.0f executions a second; starts by 16 clients p50 %.2f, p99 %.2f, most %.1f ms,"
      " without it %.2f, %.2f, %.1f\n",
      "", static_cast<double>(gone) / took, quantile(meanwhile, 0.5), quantile(meanwhile, 0.99),
      quantile(meanwhile, 1), quantile(before, 0.5), quantile(before, 0.99), quantile(before, 1));
}

void resume(std::size_t count, std::size_t clients, const std::string& folder, const Parked& parked) {
  TokenFile tokens(folder + "-tokens", "rb");
  const auto began = SteadyClock::now();
  World world(folder, 8);
  const std::uint64_t before = world.runtime->figures().transitions;
  start(world, "starts", [] {});
  world.loop.run_until([&] { return world.runtime->figures().transitions > before; });
  const double first = seconds_since(began);
  world.loop.run_until([&] { return world.runtime->figures().timers >= count; });
  const double armed = seconds_since(began);
  std::vector<std::uint32_t> order(count);
  for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint32_t>(i);
  std::shuffle(order.begin(), order.end(), std::mt19937(7));
  const auto rows = world.counting->list_executions({});
  if (!rows || rows->empty()) fail("the executions cannot be listed");
  print_queries(world, rows->back().name);
  print_cost(world);
  const Rate rate = rate_of(world, count, clients, [&](std::size_t i, std::function<void()> done) {
    world.runtime->send_task_success(tokens.at(order[i]), "{}", {}, {},
                                     [done = std::move(done)](Result<Unit> answer) {
                                       if (!answer) fail(to_text(answer.error()));
                                       done();
                                     });
  });
  std::printf("%10zu %9.0f %8.1f %11.0f %10.0f %10.3f %10.2f %10.0f %8.1f\n", count, parked.rate.per_second,
              parked.rate.cpu_us, parked.bytes_each, parked.disk_bytes_each, first, armed, rate.per_second,
              rate.cpu_us);
  print_retention(world, count);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> counts = {20'000, 200'000};
  std::size_t clients = 256;
  std::string folder;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--executions") {
      counts.clear();
      for (char* text = argv[i + 1]; *text != '\0'; text += *text == ',')
        counts.push_back(std::strtoull(text, &text, 10));
    } else if (name == "--clients") {
      clients = std::strtoull(argv[i + 1], nullptr, 10);
    } else if (name == "--folder") {
      folder = argv[i + 1];
    } else {
      fail("unknown option " + name + "; known: --executions, --clients, --folder");
    }
  }
  if (folder.empty()) folder = (std::filesystem::current_path() / "parked-bench").string();
  std::printf("%10s %9s %8s %11s %10s %10s %10s %10s %8s\n", "parked", "parks/s", "CPU us", "bytes each",
              "disk each", "first, s", "armed, s", "resumes/s", "CPU us");
  for (const std::size_t count : counts) {
    std::filesystem::create_directories(folder);
    const std::string place = folder + "/" + std::to_string(count);
    const Parked parked = park(count, clients, place);
    resume(count, clients, place, parked);
    std::filesystem::remove_all(folder);
  }
  return 0;
}
