#include "runtime/placement.h"

#include <algorithm>

namespace sortie::runtime {

bool needs_leader(const asl::StateMachine& machine) {
  return std::any_of(machine.flows.begin(), machine.flows.end(), [](const asl::Flow& flow) {
    return std::any_of(flow.states.begin(), flow.states.end(), [](const asl::State& state) {
      if (const auto* task = std::get_if<asl::Task>(&state.body)) {
        return task->resource.is_activity || task->resource.pattern == asl::TaskPattern::kWaitForTaskToken;
      }
      const auto* map = std::get_if<asl::Map>(&state.body);
      return map != nullptr && map->distributed.has_value();
    });
  });
}

}  // namespace sortie::runtime
