// Fills a data folder with N executions as a busy account has them, through the runtime in this process, for
// listing_bench.py: playbooks ir-0 .. ir-3 that succeed, one execution in forty of ir-fails, one in a
// thousand of those with an error of its own, one in two hundred waits for its token. They began ten
// milliseconds apart, the last one now. Prints how long that took and the bytes of the file for each.
//
//   listing_fill --folder DIR [--executions N]
#include <cstring>

#include "engine_world.h"

namespace {

using namespace sortie;
using namespace sortie::bench;

constexpr std::int64_t kGapMs = 10;
constexpr std::size_t kClients = 256;

std::string input_of(std::size_t no) {
  const char* const severities[] = {"LOW", "HIGH", "MEDIUM"};
  char text[400];
  std::snprintf(text, sizeof(text),
                R"({"severity":"%s","region":"us-east-1","detail":{"id":"f-%08zx","instance":"i-%013zx",)"
                R"("account":"%012zu","type":"UnauthorizedAccess:EC2/SSHBruteForce"},"error":"%s",)"
                R"("cause":"number %zu did not answer"})",
                no % 50'000 == 7 ? "CRITICAL" : severities[no % 3], no * 2654435761U % 0xFFFFFFFFU, no,
                no % 97, no % 40'000 == 0 ? "Needle.NotFound" : "Hay.Failed", no);
  return text;
}

std::string name_of(std::size_t no) {  // Half have names that people gave.
  char text[64];
  std::snprintf(text, sizeof(text), "Night-%07zu", no);
  return no % 2 == 0 ? text : "";
}

const char* machine_of(std::size_t no) {
  static const char* const kPlaybooks[] = {"ir-0", "ir-1", "ir-2", "ir-3"};
  return no % 200 == 1 ? "parked" : no % 40 == 0 ? "ir-fails" : kPlaybooks[no % 4];
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder;
  std::size_t count = 1'000'000;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--folder") == 0) folder = argv[i + 1];
    if (std::strcmp(argv[i], "--executions") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (folder.empty()) fail("listing_fill --folder DIR [--executions N]");
  std::filesystem::create_directories(folder);
  const auto began = SteadyClock::now();
  {
    World world(folder);
    for (const char* name : {"ir-0", "ir-1", "ir-2", "ir-3"})
      world.publish(name, chain(1, R"("Type":"Pass")"));
    world.publish("ir-fails", R"({"StartAt":"Look","States":{"Look":{"Type":"Pass","Next":"Sorry"},)"
                              R"("Sorry":{"Type":"Fail","ErrorPath":"$.error","CausePath":"$.cause"}}})");
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    const std::int64_t first = now.count() - static_cast<std::int64_t>(count) * kGapMs;
    std::size_t asked = 0, answered = 0;
    std::function<void()> next = [&] {
      if (asked == count) return;
      const std::size_t no = asked++;
      world.loop.jump_to(Timestamp{first + static_cast<std::int64_t>(no) * kGapMs});
      runtime::StartRequest request;
      request.state_machine_arn = std::string(kPrefix) + machine_of(no);
      request.name = name_of(no);
      request.input_text = input_of(no);
      request.actor = {Actor::Kind::kRule, no % 10'000 == 3 ? "rare-rule" : "guardduty", "123456789012", "",
                       ""};
      world.runtime->start_execution(std::move(request), [&](Result<runtime::StartReply> reply) {
        if (!reply) fail(to_text(reply.error()));
        ++answered;
        next();
      });
    };
    for (std::size_t i = 0; i < kClients; ++i) next();
    world.loop.run_until([&] { return answered == count; });
    std::printf("%zu executions in %.1f s (%.0f/s), CPU us each %.1f\n", count, seconds_since(began),
                static_cast<double>(count) / seconds_since(began),
                cpu_seconds() * 1e6 / static_cast<double>(count));
  }
  std::printf(
      "bytes of the file each: %.0f\n",
      static_cast<double>(std::filesystem::file_size(folder + "/sortie.db")) / static_cast<double>(count));
  return 0;
}
