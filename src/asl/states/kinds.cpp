#include "asl/states/states.h"

namespace sortie::asl {

const StateKind* find_state_kind(std::string_view type) {
  for (const auto kind :
       {task_kind, pass_kind, choice_kind, wait_kind, succeed_kind, fail_kind, parallel_kind, map_kind}) {
    if (kind().name == type) return &kind();
  }
  return nullptr;
}

}  // namespace sortie::asl
