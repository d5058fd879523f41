#pragma once
// Which workflow variables each state reads: the variableReferences of DescribeStateMachine.
#include <map>
#include <set>
#include <string>

#include "asl/state_machine.h"

namespace sortie::asl {

// State name -> names of the variables it reads, without "$". States that read none are left out. A state
// that contains others (Parallel, Map) lists only what its own fields read.
std::map<std::string, std::set<std::string>> variable_references(const StateMachine& machine);

}  // namespace sortie::asl
