// What an item of a Map and an event of a history cost, and whether the cost depends on how many there are.
// One process, the real Runtime on the SQLite store; a row is one execution that begins with nothing else
// running.
//
//   inline       a Map of N Pass items in a synchronous EXPRESS execution: no event limit, nothing stored
//   stored       the same in a STANDARD execution; 25,000 events are about 6,000 items
//   history      a STANDARD execution that loops over a Task, each a commit, until it has N events: cost of
//   the
//                last tenth of them
//   distributed  a distributed Map over a JSON Lines object of N lines, each a durable child execution of one
//                Pass state; the object comes from this program, 1 MiB at a time
//
// `peak` is the process's highest resident memory so far (VmHWM): it says how memory grows down the table.
//
//   map_bench [--only NAME] [--items N] [--kind STANDARD|EXPRESS] [--folder DIR]
#include <algorithm>
#include <fstream>

#include "engine_world.h"
#include "json/text.h"
#include "runtime/object_store.h"

namespace {

using namespace sortie;
using namespace sortie::bench;

double peak_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

void print_row(const char* what, std::int64_t count, double seconds, double cpu) {
  const auto each = [&](double all) { return all * 1e6 / static_cast<double>(count); };
  std::printf("%-12s %9lld %9.2f %9.2f %9.2f %9.0f\n", what, static_cast<long long>(count), seconds,
              each(seconds), each(cpu), peak_mib());
  std::fflush(stdout);
}

// Lines of an object that is never in memory as a whole; each is as long as the others.
class Lines final : public runtime::ObjectStore {
 public:
  Loop* loop = nullptr;
  std::uint64_t count = 0;

  void read(runtime::ReadObject request, std::function<void(Result<runtime::ObjectPiece>)> done) override {
    constexpr std::uint64_t kLine = 15;
    const std::uint64_t end = std::min(request.offset + request.bytes, count * kLine);
    std::string text;
    for (std::uint64_t line = request.offset / kLine; line * kLine < end; ++line) {
      std::string number = std::to_string(line);
      text += "{\"n\":" + std::string(8 - number.size(), ' ') + number + "}\n";
    }
    const std::uint64_t first = request.offset / kLine * kLine;
    std::string piece = text.substr(request.offset - first, end - request.offset);
    loop->post([done = std::move(done), piece = std::move(piece), over = end == count * kLine] {
      done(runtime::ObjectPiece{piece, over, "etag"});
    });
  }
  void list(runtime::ListObjects, std::function<void(Result<runtime::ObjectPage>)>) override {}
  void write(runtime::WriteObject, std::function<void(Status)> done) override {
    loop->post([done = std::move(done)] { done(Status()); });
  }
};

std::string pass_map(const std::string& fields, const std::string& config) {
  return R"({"StartAt":"M","States":{"M":{"Type":"Map","End":true,)" + fields + R"("ItemProcessor":{)" +
         config + R"("StartAt":"P","States":{"P":{"Type":"Pass","Result":0,"End":true}}}}}})";
}

constexpr const char* kLoop = R"json({"StartAt":"T","States":{
  "T":{"Type":"Task","Resource":"arn:aws:lambda:us-east-1:123456789012:function:F","ResultPath":null,"Next":"N"},
  "N":{"Type":"Pass","Parameters":{"n.$":"States.MathAdd($.n, -1)"},"Next":"C"},
  "C":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericGreaterThan":0,"Next":"T"}],"Default":"E"},
  "E":{"Type":"Succeed"}}})json";

class MapBench {
 public:
  MapBench(const std::string& folder, const std::string& kind) : world_(folder, 7, options()) {
    lines_.loop = &world_.loop;
    world_.publish("inline", pass_map("", ""), "EXPRESS");
    world_.publish("stored", pass_map("", ""));
    world_.publish("loop", kLoop);
    const std::string config =
        R"("ProcessorConfig":{"Mode":"DISTRIBUTED","ExecutionType":")" + kind + R"("},)";
    world_.publish("distributed", pass_map(R"("ItemReader":{"Resource":"arn:aws:states:::s3:getObject",
                       "ReaderConfig":{"InputType":"JSONL"},"Parameters":{"Bucket":"b","Key":"k"}},
                       "ResultWriter":{"Resource":"arn:aws:states:::s3:putObject",
                       "Parameters":{"Bucket":"b","Prefix":"p"}},)",
                                           config));
  }

  void run_map(const char* machine, std::int64_t items) {
    const std::string input =
        json::to_text(json::Value::array(std::vector<json::Value>(static_cast<std::size_t>(items), 0)));
    measure(machine, items, machine == std::string_view("inline"), input);
  }

  // An iteration has eleven events.
  void run_history(std::int64_t events) {
    const std::int64_t loops = std::max<std::int64_t>((events - 3) / 11, 1);
    const std::int64_t from = loops - std::max<std::int64_t>(loops / 10, 1);
    const std::uint64_t before = world_.counting->figures().commits;
    auto began = SteadyClock::now();
    double cpu = cpu_seconds();
    std::int64_t counted = 0;
    const bool over = start("loop", "{\"n\":" + std::to_string(loops) + "}", [&] {
      if (counted == 0 && static_cast<std::int64_t>(world_.counting->figures().commits - before) >= from) {
        began = SteadyClock::now();
        cpu = cpu_seconds();
        counted = loops - from;
      }
    });
    if (!over) fail("the loop failed");
    const double seconds = seconds_since(began);
    std::printf("%-12s %9lld %9.2f %9.2f %9.2f %9.0f\n", "history", static_cast<long long>(loops * 11 + 3),
                seconds, seconds * 1e6 / static_cast<double>(std::max<std::int64_t>(counted, 1) * 11),
                (cpu_seconds() - cpu) * 1e6 / static_cast<double>(std::max<std::int64_t>(counted, 1) * 11),
                peak_mib());
    std::fflush(stdout);
  }

  void run_distributed(std::int64_t items) {
    lines_.count = static_cast<std::uint64_t>(items);
    measure("distributed", items, false, "{}");
  }

 private:
  runtime::Options options() {
    runtime::Options made;
    made.objects = &lines_;
    return made;
  }

  void measure(const char* machine, std::int64_t count, bool in_memory, const std::string& input) {
    const auto began = SteadyClock::now();
    const double cpu = cpu_seconds();
    if (in_memory) {
      bool over = false;
      runtime::StartRequest request = request_for(machine, input);
      world_.runtime->start_sync_execution(std::move(request), [&](const auto& ended) {
        if (!ended || ended->status != store::ExecutionStatus::kSucceeded) fail("the Map failed");
        over = true;
      });
      world_.loop.run_until([&] { return over; });
    } else if (!start(machine, input, [] {})) {
      fail("the Map failed");
    }
    print_row(machine, count, seconds_since(began), cpu_seconds() - cpu);
  }

  static runtime::StartRequest request_for(const std::string& machine, const std::string& input) {
    runtime::StartRequest request;
    request.state_machine_arn = kPrefix + machine;
    request.input_text = input;
    return request;
  }

  bool start(const std::string& machine, const std::string& input, const std::function<void()>& tick) {
    bool over = false, succeeded = false;
    std::shared_ptr<void> waiting;
    world_.runtime->start_execution(request_for(machine, input), [&](Result<runtime::StartReply> reply) {
      if (!reply) fail(to_text(reply.error()));
      waiting =
          world_.runtime->when_ended(reply->execution_arn, [&](const runtime::ExecutionDescription& ended) {
            if (ended.status != store::ExecutionStatus::kSucceeded) {
              std::fprintf(stderr, "%s %s\n", ended.error.value_or("").c_str(),
                           ended.cause.value_or("").c_str());
            }
            succeeded = ended.status == store::ExecutionStatus::kSucceeded;
            over = true;
          });
    });
    world_.loop.run_until([&] {
      tick();
      return over;
    });
    return succeeded;
  }

  Lines lines_;
  World world_;
};

struct MapArguments {
  std::string only, kind = "STANDARD", folder;
  std::int64_t items = 0;
};

void run(const MapArguments& arguments, const std::string& folder) {
  std::printf("%-12s %9s %9s %9s %9s %9s\n", "what", "N", "seconds", "us each", "CPU us", "peak MiB");
  MapBench bench(folder, arguments.kind);
  const auto each = [&](const char* what, std::initializer_list<std::int64_t> counts, const auto& measure) {
    if (!arguments.only.empty() && arguments.only != what) return;
    if (arguments.items > 0) return measure(arguments.items);
    for (const std::int64_t count : counts) measure(count);
  };
  each("inline", {10, 100, 1'000, 10'000, 100'000}, [&](std::int64_t n) { bench.run_map("inline", n); });
  each("stored", {10, 100, 1'000, 4'000}, [&](std::int64_t n) { bench.run_map("stored", n); });
  each("history", {25, 250, 2'500, 12'000, 24'000}, [&](std::int64_t n) { bench.run_history(n); });
  each("distributed", {1'000, 10'000, 100'000}, [&](std::int64_t n) { bench.run_distributed(n); });
}

}  // namespace

int main(int argc, char** argv) {
  MapArguments arguments;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--only") arguments.only = argv[i + 1];
    if (name == "--kind") arguments.kind = argv[i + 1];
    if (name == "--folder") arguments.folder = argv[i + 1];
    if (name == "--items") arguments.items = std::strtoll(argv[i + 1], nullptr, 10);
  }
  return in_folder(arguments.folder, "map-bench", [&](const std::string& folder) { run(arguments, folder); });
}
