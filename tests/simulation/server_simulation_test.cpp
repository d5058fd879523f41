// The whole server under injected faults (server_world.h), seed after seed: seed_replay.h (default 25).
#include "seed_replay.h"

namespace sortie::simulation {
namespace server_simulation {

TEST(Server, LosesRepeatsAndForgetsNothingWhateverFails) {
  const SeedRange range = seeds_from_environment(25);
  FaultTally tally, sums;
  run_seeds(range, seed_runs({run_server}), tally, sums);
  std::printf("server: %s\n%s\n", to_text(tally).c_str(), list_of(sums).c_str());
  if (range.is_one()) return;
  for (const char* what : {"executions", "redrives", "map runs", "decisions"})
    EXPECT_GT(sums[what], 0u) << what;
  for (const char* kind : {"paused beyond the lease", "lease lost at a commit", "worker death"}) {
    EXPECT_GT(tally[kind], 0u) << kind;
  }
}

// The same seed is the same run: only then is a replay one.
TEST(Server, RunsTheSameFromTheSameSeed) {
  for (std::uint64_t seed = 11; seed < 13; ++seed) {
    FaultTally first, second;
    const RunReport a = run_server({.seed = seed}, first), b = run_server({.seed = seed}, second);
    EXPECT_EQ(a.steps, b.steps) << "seed " << seed;
    EXPECT_EQ(first, second) << "seed " << seed;
  }
}

}  // namespace server_simulation
}  // namespace sortie::simulation
