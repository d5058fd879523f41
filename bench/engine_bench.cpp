// The whole way through the engine, in one process: the real Runtime on the SQLite store, tasks answered at
// once by this program. Each row is held against the raw grouped append (raw_append.h) of the same number of
// bytes in the same run, by as many clients: what the disk and SQLite allow.
//
//   starts     executions of three Pass states; a client starts the next when the start is durable
//   through    transitions a second of ten Pass states; a client waits for the end of its execution
//   blocking   transitions a second of twenty Tasks, each of which is a commit, a dispatch and an answer;
//              as many executions at once as there are clients
//
// Commits, rows, bytes and the raw row are per start, or per transition: how many group commits shared the
// disk, how many images, history chunks, payloads and log lines the runtime handed over, and their size. A
// ratio above 1 in `through` is run-to-block: ten transitions are one commit, while the raw writer has to
// append ten rows. `log bytes` is what the write-ahead log took of it, the folding of earlier ones with it.
// CPU time, of all threads and of the loop's alone, is what a busy machine still tells.
//
//   engine_bench [--seconds S] [--clients N,N,...] [--what NAME] [--folder DIR]
#include <map>
#include <memory>

#include "engine_world.h"

namespace {

using namespace sortie;
using namespace sortie::bench;

struct Cell {
  double per_second = 0;
  double commits_each = 0;
  double rows_each = 0;
  double bytes_each = 0;
  double log_bytes_each = 0;
  double cpu_us_each = 0;
  double loop_us_each = 0;
};

// `clients` blocking clients, each with one execution of `machine` at a time. A client of "starts" goes on
// when its start is durable, the others when their execution has ended.
class Clients {
 public:
  Clients(World& world, std::string machine, double seconds)
      : world_(world), machine_(std::move(machine)), seconds_(seconds) {}

  Cell run(std::size_t clients) {
    const bool starts = machine_ == "starts";
    const auto before = world_.runtime->figures();
    const std::uint64_t commits = world_.counting->figures().commits;
    const std::uint64_t bytes = world_.counting->bytes, rows = world_.counting->rows;
    const std::uint64_t log_bytes = world_.counting->figures().bytes_written;
    const double cpu = cpu_seconds(), loop = thread_cpu_seconds();
    for (std::size_t i = 0; i < clients; ++i) begin();
    world_.loop.run_until([&] {
      stopping_ = stopping_ || seconds_since(began_) >= seconds_;
      return stopping_ && in_flight_ == 0 && world_.runtime->figures().open_executions == 0;
    });
    const double elapsed = seconds_since(began_);
    const auto after = world_.runtime->figures();
    const auto count =
        static_cast<double>(starts ? after.started - before.started : after.transitions - before.transitions);
    const store::StoreFigures figures = world_.counting->figures();
    return {count / elapsed,
            static_cast<double>(figures.commits - commits) / count,
            static_cast<double>(world_.counting->rows - rows) / count,
            static_cast<double>(world_.counting->bytes - bytes) / count,
            static_cast<double>(figures.bytes_written - log_bytes) / count,
            (cpu_seconds() - cpu) * 1e6 / count,
            (thread_cpu_seconds() - loop) * 1e6 / count};
  }

 private:
  void begin() {
    ++in_flight_;
    runtime::StartRequest request;
    request.state_machine_arn = kPrefix + machine_;
    request.input_text =
        R"({"finding":{"id":"0123456789abcdef","severity":8,"instance":"i-0123456789abcdef0",)"
        R"("region":"us-east-1","account":"123456789012","tags":["critical","web"]}})";
    world_.runtime->start_execution(std::move(request), [this](Result<runtime::StartReply> reply) {
      if (!reply) fail(to_text(reply.error()));
      if (machine_ == "starts") return over();
      const std::uint64_t id = ++last_wait_;
      waits_[id] = world_.runtime->when_ended(reply->execution_arn,
                                              [this, id](const runtime::ExecutionDescription& ended) {
                                                if (ended.status != store::ExecutionStatus::kSucceeded)
                                                  fail(ended.cause.value_or("it failed"));
                                                world_.loop.post([this, id] {
                                                  waits_.erase(id);
                                                  over();
                                                });
                                              });
    });
  }
  void over() {
    --in_flight_;
    if (!stopping_) begin();
  }

  World& world_;
  const std::string machine_;
  const double seconds_;
  const SteadyClock::time_point began_ = SteadyClock::now();
  std::map<std::uint64_t, std::shared_ptr<void>> waits_;
  std::uint64_t last_wait_ = 0;
  std::size_t in_flight_ = 0;
  bool stopping_ = false;
};

struct Arguments {
  double seconds = 2.0;
  std::vector<std::size_t> clients = {1, 16, 64, 256};
  std::vector<std::string> what = {"starts", "through", "blocking"};
  std::string folder;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (i + 1 >= argc) fail(name + " wants a value");
    if (name == "--seconds") {
      arguments.seconds = std::strtod(argv[i + 1], nullptr);
    } else if (name == "--folder") {
      arguments.folder = argv[i + 1];
    } else if (name == "--what") {
      arguments.what = {argv[i + 1]};
    } else if (name == "--clients") {
      arguments.clients.clear();
      for (char* text = argv[i + 1]; *text != '\0'; text += *text == ',') {
        arguments.clients.push_back(std::strtoull(text, &text, 10));
        if (arguments.clients.back() == 0) fail("numbers are wanted, with commas between them");
      }
    } else {
      fail("unknown option " + name + "; known: --seconds, --clients, --what, --folder");
    }
  }
  return arguments;
}

void run(const Arguments& arguments, const std::string& folder) {
  std::printf("%-9s %7s %10s %8s %8s %8s %8s %9s %9s %12s %8s %7s\n", "what", "clients", "each/s", "CPU us",
              "loop us", "commits", "rows", "bytes", "log bytes", "raw rows/s", "CPU us", "ratio");
  int number = 0;
  for (const std::string& machine : arguments.what) {
    World world(folder + "/" + machine);
    for (const std::size_t clients : arguments.clients) {
      const Cell cell = Clients(world, machine, arguments.seconds).run(clients);
      bench::RawAppender raw(folder + "/raw" + std::to_string(++number) + ".db",
                             static_cast<std::size_t>(cell.bytes_each));
      const double cpu = cpu_seconds();
      const double limit = raw.measure(clients, arguments.seconds / 2);
      const double raw_us = (cpu_seconds() - cpu) * 1e6 / static_cast<double>(raw.latencies.size());
      std::printf("%-9s %7zu %10.0f %8.1f %8.1f %8.3f %8.2f %9.0f %9.0f %12.0f %8.1f %7.2f\n",
                  machine.c_str(), clients, cell.per_second, cell.cpu_us_each, cell.loop_us_each,
                  cell.commits_each, cell.rows_each, cell.bytes_each, cell.log_bytes_each, limit, raw_us,
                  cell.per_second / limit);
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  return in_folder(arguments.folder, "engine-bench",
                   [&](const std::string& folder) { run(arguments, folder); });
}
