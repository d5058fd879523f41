#include "runtime/placement.h"

#include <algorithm>

namespace sortie::runtime {

bool needs_leader(const asl::StateMachine& machine) {
  return std::any_of(machine.flows.begin(), machine.flows.end(), [](const asl::Flow& flow) {
    return std::any_of(flow.states.begin(), flow.states.end(), [](const asl::State& state) {
      const auto* map = std::get_if<asl::Map>(&state.body);
      return map != nullptr && map->distributed.has_value();
    });
  });
}

}  // namespace sortie::runtime
