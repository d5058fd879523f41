#pragma once
// One state type, one file: each has the table of the fields it may have and the function that compiles them.
// The caller (flow.cpp) has checked the object against the table, set name, type and query language, and does
// what all types share: InputPath, OutputPath, Assign, Next, End.
#include <span>

#include "asl/build.h"

namespace sortie::asl {

struct StateKind {
  StateType type;
  std::string_view name;
  FieldTable fields;    // Its own; the groups below come on top.
  bool has_transition;  // Next or End.
  bool has_select;      // InputPath, OutputPath.
  bool has_assign;      // Assign, Output.
  bool has_result;      // Parameters, ResultSelector, ResultPath, Arguments.
  bool has_errors;      // Retry, Catch.
  void (*compile)(StateBuild& in);
};

const StateKind& task_kind();
const StateKind& pass_kind();
const StateKind& choice_kind();
const StateKind& wait_kind();
const StateKind& succeed_kind();
const StateKind& fail_kind();
const StateKind& parallel_kind();
const StateKind& map_kind();

// By the value of Type; nullptr for a type that does not exist.
const StateKind* find_state_kind(std::string_view type);

}  // namespace sortie::asl
