#pragma once
// What has to have become of an execution: the reference interpreter's output, error and history.
#include <map>
#include <string>

#include "history_lines.h"
#include "machines.h"
#include "runtime/runtime.h"

namespace sortie::simulation {

inline const std::string kArnPrefix = "arn:aws:states:us-east-1:123456789012:";

// What a distributed Map reads: one object, the same for everybody.
inline constexpr std::string_view kItemsObject = "1\n2\n3\n4\n5\n";

using Machines = std::map<std::string, json::Value>;  // By name.

// A task that starts an execution starts one of "m0".
reference::Interpreter::Run expected_of(const Machines& machines, const json::Value& machine,
                                        const json::Value& input, const std::string& name);

// What is wrong with an execution of `machine` that has ended; "": nothing. Of one that was redriven only the
// form of its history is looked at.
std::string wrong_with(const Machines& machines, runtime::Runtime& runtime, const store::ExecutionRow& row,
                       const runtime::ExecutionDescription& described, const json::Value& machine);

}  // namespace sortie::simulation
