// Executions that wait: N of them parked on a task token with a timeout of a day, the process started again,
// then all of them resumed in random order. Prints memory, start-up and rates; the rates of few and of many
// stand side by side, because what waits must not slow down what moves.
//
//   parked_bench [--executions N,N,...] [--clients C] [--folder DIR]
#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
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
  explicit TokenFile(const std::string& path) : file_(std::fopen(path.c_str(), "w+b")) {
    if (file_ == nullptr) fail("cannot make " + path);
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
    std::fseek(file_, static_cast<long>(index * kTokenBytesMax), SEEK_SET);
    if (std::fread(slot, 1, sizeof(slot), file_) != sizeof(slot)) fail("a token is missing");
    return slot;
  }

 private:
  std::FILE* file_;
};

// Runs `one` for 0 .. count-1 with at most `clients` under way; answers how many a second.
double rate_of(World& world, std::size_t count, std::size_t clients,
               const std::function<void(std::size_t, std::function<void()>)>& one) {
  std::size_t begun = 0, done = 0;
  const auto began = SteadyClock::now();
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
  return static_cast<double>(count) / seconds_since(began);
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

void run(std::size_t count, std::size_t clients, const std::string& folder) {
  TokenFile tokens(folder + "-tokens");
  double park = 0, bytes_each = 0;
  {
    World world(folder);
    world.on_token = [&tokens](const std::string& token) { tokens.add(token); };
    rate_of(world, std::min<std::size_t>(count, 30'000), clients,  // What every run needs, once.
            [&](std::size_t, std::function<void()> done) { start(world, "starts", std::move(done)); });
    const std::size_t before = resident_bytes();
    park = rate_of(world, count, clients,
                   [&](std::size_t, std::function<void()> done) { start(world, "parked", std::move(done)); });
    bytes_each =
        (static_cast<double>(resident_bytes()) - static_cast<double>(before)) / static_cast<double>(count);
  }
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
  const double resume = rate_of(world, count, clients, [&](std::size_t i, std::function<void()> done) {
    world.runtime->send_task_success(tokens.at(order[i]), "{}", {}, {},
                                     [done = std::move(done)](Result<Unit> answer) {
                                       if (!answer) fail(to_text(answer.error()));
                                       done();
                                     });
  });
  std::printf("%10zu %9.0f %11.0f %10.3f %10.2f %10.0f\n", count, park, bytes_each, first, armed, resume);
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
  std::printf("%10s %9s %11s %10s %10s %10s\n", "parked", "parks/s", "bytes each", "first, s", "armed, s",
              "resumes/s");
  for (const std::size_t count : counts) {
    std::filesystem::create_directories(folder);
    run(count, clients, folder + "/" + std::to_string(count));
    std::filesystem::remove_all(folder);
  }
  return 0;
}
