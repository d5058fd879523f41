#pragma once
// A StateMachine is an ASL definition compiled once and never changed afterwards: shared by every execution
// of it, on any thread. Paths, payload templates and intrinsic calls are compiled programs here, names are
// resolved to indices, defaults are filled in; the engine never looks at definition text again.
//
// A *flow* is one StartAt + States group: the machine's own (flow 0), each Parallel branch, each Map
// processor. Flows are numbered in document order, so (flow, state index) names any state of the machine in 8
// bytes. Source of the rules: Amazon States Language specification and the Step Functions developer guide.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "asl/jsonata_template.h"
#include "base/time.h"
#include "expr/intrinsic/intrinsic.h"
#include "expr/intrinsic/payload_template.h"
#include "expr/jsonpath/jsonpath.h"
#include "json/value.h"

namespace sortie::asl {

using FlowIndex = std::uint32_t;
using StateIndex = std::uint32_t;
inline constexpr StateIndex kNoState = UINT32_MAX;

enum class QueryLanguage : std::uint8_t { kJsonPath, kJsonata };
enum class StateType : std::uint8_t { kTask, kPass, kChoice, kWait, kSucceed, kFail, kParallel, kMap };

// "Task", "Pass", ...: as definitions and history event names (TaskStateEntered) spell them.
std::string_view state_type_name(StateType type);

// InputPath and OutputPath: absent means "$", null means an empty object.
struct SelectPath {
  bool is_null = false;
  std::optional<intrinsic::Expression> path;  // Absent: the whole value. "$..", "$$.." or "$variable..".
};

// ResultPath: absent means "$" (replace the input), null means discard the result.
struct ResultPath {
  bool is_null = false;
  std::optional<jsonpath::Path> path;  // A reference path; absent: replace.
};

// What a state makes out of its data, in the state's own language: Parameters or Arguments, Assign,
// ItemSelector, Credentials.
using Template = std::variant<intrinsic::PayloadTemplate, JsonataTemplate>;

struct Retrier {
  std::vector<std::string> error_equals;
  std::int64_t interval_seconds = 1;
  std::int64_t max_attempts = 3;
  double backoff_rate = 2.0;
  std::optional<std::int64_t> max_delay_seconds;
  bool full_jitter = false;
};

struct Catcher {
  std::vector<std::string> error_equals;
  StateIndex next = kNoState;
  ResultPath result_path;
  std::optional<Template> assign;
  std::optional<JsonataTemplate> output;  // Absent in JSONata: the error output.
};

enum class Comparator : std::uint8_t {
  kIsPresent,
  kIsNull,
  kIsNumeric,
  kIsString,
  kIsBoolean,
  kIsTimestamp,
  kStringEquals,
  kStringLessThan,
  kStringGreaterThan,
  kStringLessThanEquals,
  kStringGreaterThanEquals,
  kStringMatches,
  kNumericEquals,
  kNumericLessThan,
  kNumericGreaterThan,
  kNumericLessThanEquals,
  kNumericGreaterThanEquals,
  kBooleanEquals,
  kTimestampEquals,
  kTimestampLessThan,
  kTimestampGreaterThan,
  kTimestampLessThanEquals,
  kTimestampGreaterThanEquals
};

struct Comparison {
  Comparator comparator = Comparator::kIsPresent;
  std::optional<intrinsic::Expression> variable;      // Always set after compilation.
  json::Value literal;                                // The operand, unless it is a path.
  std::optional<intrinsic::Expression> operand_path;  // StringEqualsPath and its kin.
};

struct Condition {
  enum class Kind : std::uint8_t { kCompare, kAnd, kOr, kNot };
  Kind kind = Kind::kCompare;
  Comparison comparison;            // kCompare
  std::vector<Condition> children;  // kAnd, kOr: one or more; kNot: exactly one
};

struct ChoiceRule {
  Condition condition;                   // JSONPath.
  std::optional<JsonataTemplate> query;  // JSONata: one expression, or a boolean.
  StateIndex next = kNoState;
  std::optional<Template> assign;
  std::optional<JsonataTemplate> output;
};

// A number that is written in the definition, read from the state's input by a path or made by an expression.
struct NumberField {
  std::optional<double> literal;
  std::optional<intrinsic::Expression> path;
  std::optional<JsonataTemplate> query;
  bool is_set() const { return literal.has_value() || path.has_value() || query.has_value(); }
};

// What an ARN in Task.Resource asks for.
enum class TaskPattern : std::uint8_t { kRequestResponse, kSync, kSync2, kWaitForTaskToken };

struct TaskResource {
  std::string text;                        // As written.
  std::string partition, region, account;  // Empty where the ARN leaves them empty.
  // How history events name it: "lambda" / "sqs" / "aws-sdk:dynamodb" / "activity" ...
  std::string resource_type;  // TaskScheduled.resourceType
  std::string resource;       // TaskScheduled.resource, e.g. "invoke", "sendMessage.waitForTaskToken"
  TaskPattern pattern = TaskPattern::kRequestResponse;
  bool is_lambda_arn = false;  // Bare function ARN: Lambda* events instead of Task* events.
  bool is_activity = false;    // Activity* events.
  // A bare SNS topic or SQS queue ARN, taken for what its author meant; compatibility: strict refuses it.
  bool is_bare_topic = false;
  bool is_bare_queue = false;
};

struct Task {
  TaskResource resource;
  NumberField timeout_seconds;    // Unset: none (99999999 s).
  NumberField heartbeat_seconds;  // Unset: none.
  std::optional<Template> credentials;
};

struct Pass {
  std::optional<json::Value> result;
};

struct Choice {
  std::vector<ChoiceRule> rules;
  StateIndex default_next = kNoState;
};

struct Wait {
  // Exactly one is set.
  std::optional<std::int64_t> seconds;
  std::optional<intrinsic::Expression> seconds_path;
  std::optional<Timestamp> timestamp;
  std::optional<intrinsic::Expression> timestamp_path;
  std::optional<JsonataTemplate> seconds_query;
  std::optional<JsonataTemplate> timestamp_query;
};

struct Succeed {};

struct Fail {
  std::optional<std::string> error;
  std::optional<intrinsic::Expression> error_path;  // A path or one of the allowed intrinsics.
  std::optional<JsonataTemplate> error_query;
  std::optional<std::string> cause;
  std::optional<intrinsic::Expression> cause_path;
  std::optional<JsonataTemplate> cause_query;
};

struct Parallel {
  std::vector<FlowIndex> branches;
};

enum class ItemFormat : std::uint8_t { kJson, kJsonLines, kCsv, kManifest };

// Where a distributed Map reads its items: one S3 object, the listing of a bucket, or the objects that a
// listing or a manifest names, one after the other.
struct ItemReader {
  bool lists_objects = false;    // s3:listObjectsV2, else s3:getObject.
  bool loads_listed = false;     // Transformation LOAD_AND_FLATTEN: the items are in the listed objects.
  bool athena_manifest = false;  // The object names data files of this format: what UNLOAD left.
  std::optional<Template> parameters;  // Parameters or Arguments: Bucket, Key, Prefix, ...
  ItemFormat format = ItemFormat::kJson;
  bool csv_first_row = true;             // CSVHeaderLocation: FIRST_ROW, else GIVEN.
  std::vector<std::string> csv_headers;  // GIVEN
  char csv_delimiter = ',';
  std::string items_pointer;  // RFC 6901: where in a JSON document the items are.
  NumberField max_items;
};

struct ItemBatcher {
  NumberField max_items;        // Unset: as many as the bytes allow.
  NumberField max_input_bytes;  // Unset: 262,144.
  std::optional<Template> batch_input;
};

enum class ResultTransformation : std::uint8_t { kNone, kCompact, kFlatten };

struct ResultWriter {
  bool to_s3 = false;                  // Without a Resource the results stay in the output.
  std::optional<Template> parameters;  // Bucket, Prefix.
  ResultTransformation transformation = ResultTransformation::kNone;
  bool json_lines = false;  // OutputType: JSONL.
};

// What a Map in DISTRIBUTED mode has on top.
struct DistributedMap {
  bool express = false;  // ExecutionType of the children.
  std::string label;     // Empty: one is made from the state's place.
  std::optional<ItemReader> reader;
  std::optional<ItemBatcher> batcher;
  std::optional<ResultWriter> writer;
};

struct Map {
  FlowIndex processor = 0;
  std::optional<DistributedMap> distributed;  // Absent: INLINE.
  SelectPath items_path;
  std::optional<JsonataTemplate> items;   // JSONata; absent: the state's input.
  std::optional<Template> item_selector;  // Also the older Parameters of Map.
  NumberField max_concurrency;            // Unset or 0: as many as the limits allow.
  NumberField tolerated_failure_count;
  NumberField tolerated_failure_percentage;
};

struct State {
  std::string name;
  StateType type = StateType::kPass;
  QueryLanguage query_language = QueryLanguage::kJsonPath;
  SelectPath input_path;
  SelectPath output_path;
  std::optional<Template> parameters;                         // Parameters of Task, Pass, Parallel; Arguments
  std::optional<intrinsic::PayloadTemplate> result_selector;  // Task, Parallel, Map
  ResultPath result_path;
  std::optional<Template> assign;
  std::optional<JsonataTemplate> output;  // JSONata; absent: the result, or the input where there is none.
  std::vector<Retrier> retry;
  std::vector<Catcher> catchers;
  StateIndex next = kNoState;  // kNoState: End, or a type that has none.
  bool is_end = false;
  std::variant<Task, Pass, Choice, Wait, Succeed, Fail, Parallel, Map> body;
};

struct Flow {
  StateIndex start = 0;
  std::vector<State> states;  // In document order.
  // Where the flow hangs: the Parallel or Map state that owns it; kNoState for flow 0.
  FlowIndex parent_flow = 0;
  StateIndex parent_state = kNoState;
};

struct StateMachine {
  std::string definition;  // The exact text it was made from.
  std::string comment;
  std::string version = "1.0";
  std::optional<std::int64_t> timeout_seconds;  // Of the whole execution.
  std::vector<Flow> flows;                      // At least one.

  const State& state(FlowIndex flow, StateIndex index) const { return flows[flow].states[index]; }
};

}  // namespace sortie::asl
