#pragma once
// What one compilation carries along, and the parts that several state types share. Private to src/asl.
//
// A definition is walked once, in document order. Each flow first gives its states their indices (so that
// names resolve forwards), then compiles them one by one, each type in its own file of states/, then checks
// that every state can be reached. Everything that is wrong is reported; nothing stops at the first fault.
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "asl/fields.h"

namespace sortie::asl {

inline constexpr std::size_t kDefinitionBytesMax = 1'048'576;
inline constexpr std::uint32_t kDefinitionDepthMax = 400;  // Nesting of the JSON text.
inline constexpr std::size_t kStateNameCharactersMax = 80;
inline constexpr std::size_t kFlowsMax = 10'000;
inline constexpr std::size_t kVariableNameCharactersMax = 80;

struct Build {
  const CompileOptions& options;
  StateMachine& machine;
  Diagnostics& diagnostics;
  QueryLanguage language = QueryLanguage::kJsonPath;  // Of the whole machine.
  std::unordered_set<std::string_view> state_names;   // Of all flows: a name is used once in a machine.
};

using StateNames = std::unordered_map<std::string_view, StateIndex>;

// One state while it is compiled.
struct StateBuild {
  Build& build;
  const StateNames& names;  // Of the state's own flow.
  FlowIndex flow;
  StateIndex index;
  const Fields& fields;
  State& state;

  Diagnostics& diagnostics() const { return build.diagnostics; }
  bool is_jsonata() const { return state.query_language == QueryLanguage::kJsonata; }
};

// Compiles a StartAt + States group into a new flow of the machine and returns its index. `extra` are further
// members that the object may have ("Version" at the top, "ProcessorConfig" in Map).
FlowIndex compile_flow(Build& build, const json::Value& value, const Where& where, FieldTable extra,
                       FlowIndex parent_flow, StateIndex parent_state);

// Parts. `name` is the member of `fields` that is read; absent members leave the default.
StateIndex compile_target(const StateBuild& in, const json::Value& name, const Where& where,
                          std::string_view what);
// Any path ("$", "$$" or "$variable"); reports and returns nothing for anything else.
std::optional<intrinsic::Expression> compile_path(Diagnostics& diagnostics, const json::Value& text,
                                                  const Where& where);
// The same for a path that must name one place.
std::optional<intrinsic::Expression> compile_reference_path(Diagnostics& diagnostics, const json::Value& text,
                                                            const Where& where);
std::optional<intrinsic::Expression> compile_reference_path(const StateBuild& in, std::string_view name);
SelectPath compile_select_path(const StateBuild& in, std::string_view name);
ResultPath compile_result_path(Diagnostics& diagnostics, const Fields& fields);
std::optional<intrinsic::PayloadTemplate> compile_template(Diagnostics& diagnostics, const Fields& fields,
                                                           std::string_view name);
// A JSONata field; nothing in a JSONPath state. `available` says which of $states.result and
// $states.errorOutput exist where the field is evaluated: naming the other one is reported.
std::optional<JsonataTemplate> compile_query(Diagnostics& diagnostics, const Fields& fields,
                                             std::string_view name, StatesMembers available = 0);
// A field that is either plain or one expression: nothing where it is plain.
std::optional<JsonataTemplate> compile_expression(Diagnostics& diagnostics, const Fields& fields,
                                                  std::string_view name);
// A query for a field that both languages have, each in its own way.
std::optional<Template> compile_either(Diagnostics& diagnostics, const Fields& fields, std::string_view name,
                                       StatesMembers available = 0);
std::optional<Template> compile_assign(Diagnostics& diagnostics, const Fields& fields,
                                       StatesMembers available = 0);
NumberField compile_number(const StateBuild& in, std::string_view name, std::string_view path_name);

// ItemReader, ItemBatcher, ResultWriter and Label of a Map; an inline Map (`map` is empty) may have none.
void compile_distributed(StateBuild& in, std::optional<DistributedMap>& map);

// Retry and Catch of Task, Parallel and Map.
void compile_retry(StateBuild& in);
void compile_catch(StateBuild& in);

// Field groups that state types are put together from.
extern const FieldTable kStateFields;       // Type, Comment, QueryLanguage
extern const FieldTable kTransitionFields;  // Next, End
extern const FieldTable kSelectFields;      // InputPath, OutputPath
extern const FieldTable kAssignFields;      // Assign, Output
extern const FieldTable kResultFields;      // Parameters, ResultSelector, ResultPath, Arguments
extern const FieldTable kErrorFields;       // Retry, Catch

}  // namespace sortie::asl
