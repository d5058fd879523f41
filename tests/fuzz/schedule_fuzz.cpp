// Fuzzes: schedule
//
// Any text either is no schedule or gives times that go on strictly upwards.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "expr/schedule/schedule.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sortie;
  const auto schedule = schedule::compile(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!schedule) {
    if (schedule.error().message.empty()) std::abort();
    return 0;
  }
  const schedule::Utc zone;
  Timestamp at{1'795'000'000'000};
  for (int i = 0; i < 4; ++i) {
    const auto next = schedule->next_after(at, Timestamp{1'790'000'000'000}, zone);
    if (!next) break;
    if (*next <= at) std::abort();
    at = *next;
  }
  return 0;
}
