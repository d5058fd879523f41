// Several nodes on one store under injected faults (nodes_world.h), seed after seed: seed_replay.h (default
// 10).
#include "nodes_world.h"
#include "seed_replay.h"

namespace sortie::simulation {
namespace nodes_simulation {

TEST(Nodes, LoseRepeatAndForgetNothingWhateverFails) {
  const SeedRange range = seeds_from_environment(10);
  FaultTally tally, sums;
  run_seeds(range, seed_runs({run_nodes, " NODES=1"}), tally, sums);
  std::printf("nodes: %s\n%s\n", to_text(tally).c_str(), list_of(sums).c_str());
  if (range.is_one()) return;
  for (const char* what : {"executions", "redrives", "shards moved"}) EXPECT_GT(sums[what], 0u) << what;
  for (const char* kind : {"a node killed", "a node paused beyond its lease", "shard taken at a commit",
                           "note lost", "order lost"}) {
    EXPECT_GT(tally[kind], 0u) << kind;
  }
}

TEST(Nodes, RunTheSameFromTheSameSeed) {
  FaultTally first, second;
  const RunReport a = run_nodes({.seed = 3}, first), b = run_nodes({.seed = 3}, second);
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(first, second);
}

}  // namespace nodes_simulation
}  // namespace sortie::simulation
