#pragma once
// Which executions only the leader can carry out: those whose machine has a Map in distributed mode (its runs
// number their children), those of a test case, and synchronous EXPRESS executions, which nothing writes. All
// others may run on any node.
#include <functional>
#include <string>
#include <unordered_map>

#include "asl/state_machine.h"
#include "runtime/live.h"
#include "runtime/runtime.h"
#include "runtime/shard_map.h"

namespace sortie::runtime {

bool needs_leader(const asl::StateMachine& machine);

class Placement {
 public:
  store::ShardNo shard_for(const LiveExecution& live, const ShardMap& map) {
    if (map.count == 1 || !live.test_case.empty() || live.in_memory_only) return 0;
    const auto [known, fresh] = pinned_.try_emplace(live.image.definition_key, false);
    if (fresh) known->second = needs_leader(*live.state.machine);
    if (known->second) return 0;
    // By the name: who asks for the same one again is led to the same shard.
    return 1 + static_cast<store::ShardNo>(std::hash<std::string>()(live.state.arn) % (map.count - 1));
  }

 private:
  std::unordered_map<std::string, bool> pinned_;  // By definition.
};

}  // namespace sortie::runtime
