#include <array>

#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr int kConditionDepthMax = 64;

constexpr FieldSpec kChoiceFields[] = {
    {.name = "Choices", .kind = FieldKind::kArray, .required = true},
    {.name = "Default", .kind = FieldKind::kString},
};

enum class Operand : std::uint8_t { kString, kNumber, kBoolean, kTimestamp };

struct ComparatorName {
  std::string_view name;
  Comparator comparator;
  Operand operand;
  std::string_view path_name;  // The form that reads its operand from the input; empty where there is none.
};

constexpr ComparatorName kComparators[] = {
    {"IsPresent", Comparator::kIsPresent, Operand::kBoolean, {}},
    {"IsNull", Comparator::kIsNull, Operand::kBoolean, {}},
    {"IsNumeric", Comparator::kIsNumeric, Operand::kBoolean, {}},
    {"IsString", Comparator::kIsString, Operand::kBoolean, {}},
    {"IsBoolean", Comparator::kIsBoolean, Operand::kBoolean, {}},
    {"IsTimestamp", Comparator::kIsTimestamp, Operand::kBoolean, {}},
    {"StringEquals", Comparator::kStringEquals, Operand::kString, "StringEqualsPath"},
    {"StringLessThan", Comparator::kStringLessThan, Operand::kString, "StringLessThanPath"},
    {"StringGreaterThan", Comparator::kStringGreaterThan, Operand::kString, "StringGreaterThanPath"},
    {"StringLessThanEquals", Comparator::kStringLessThanEquals, Operand::kString, "StringLessThanEqualsPath"},
    {"StringGreaterThanEquals", Comparator::kStringGreaterThanEquals, Operand::kString,
     "StringGreaterThanEqualsPath"},
    {"StringMatches", Comparator::kStringMatches, Operand::kString, {}},
    {"NumericEquals", Comparator::kNumericEquals, Operand::kNumber, "NumericEqualsPath"},
    {"NumericLessThan", Comparator::kNumericLessThan, Operand::kNumber, "NumericLessThanPath"},
    {"NumericGreaterThan", Comparator::kNumericGreaterThan, Operand::kNumber, "NumericGreaterThanPath"},
    {"NumericLessThanEquals", Comparator::kNumericLessThanEquals, Operand::kNumber,
     "NumericLessThanEqualsPath"},
    {"NumericGreaterThanEquals", Comparator::kNumericGreaterThanEquals, Operand::kNumber,
     "NumericGreaterThanEqualsPath"},
    {"BooleanEquals", Comparator::kBooleanEquals, Operand::kBoolean, "BooleanEqualsPath"},
    {"TimestampEquals", Comparator::kTimestampEquals, Operand::kTimestamp, "TimestampEqualsPath"},
    {"TimestampLessThan", Comparator::kTimestampLessThan, Operand::kTimestamp, "TimestampLessThanPath"},
    {"TimestampGreaterThan", Comparator::kTimestampGreaterThan, Operand::kTimestamp,
     "TimestampGreaterThanPath"},
    {"TimestampLessThanEquals", Comparator::kTimestampLessThanEquals, Operand::kTimestamp,
     "TimestampLessThanEqualsPath"},
    {"TimestampGreaterThanEquals", Comparator::kTimestampGreaterThanEquals, Operand::kTimestamp,
     "TimestampGreaterThanEqualsPath"},
};

constexpr FieldKind kind_of(Operand operand) {
  switch (operand) {
    case Operand::kNumber:
      return FieldKind::kNumber;
    case Operand::kBoolean:
      return FieldKind::kBoolean;
    case Operand::kString:
    case Operand::kTimestamp:
      break;
  }
  return FieldKind::kString;
}

// Every comparator and its Path form as fields. Where there is no Path form its entry repeats the first one.
constexpr auto kComparatorFields = [] {
  std::array<FieldSpec, 2 * std::size(kComparators)> table{};
  std::size_t used = 0;
  for (const ComparatorName& known : kComparators) {
    const FieldSpec plain{
        .name = known.name, .kind = kind_of(known.operand), .language = FieldLanguage::kJsonPath};
    const FieldSpec path{
        .name = known.path_name, .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath};
    table[used++] = plain;
    table[used++] = known.path_name.empty() ? plain : path;
  }
  return table;
}();

constexpr FieldSpec kConditionFields[] = {
    {.name = "Variable", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "And", .kind = FieldKind::kArray, .language = FieldLanguage::kJsonPath},
    {.name = "Or", .kind = FieldKind::kArray, .language = FieldLanguage::kJsonPath},
    {.name = "Not", .kind = FieldKind::kObject, .language = FieldLanguage::kJsonPath},
    {.name = "Comment", .kind = FieldKind::kString},
};

constexpr FieldSpec kRuleFields[] = {
    {.name = "Next", .kind = FieldKind::kString, .required = true},
    {.name = "Assign", .kind = FieldKind::kObject},
    {.name = "Output", .language = FieldLanguage::kJsonata},
    {.name = "Condition", .kind = FieldKind::kBoolean, .language = FieldLanguage::kJsonata, .query = true},
};

void compile_literal(StateBuild& in, const Fields& fields, const ComparatorName& known, Comparison& out) {
  const json::Value* literal = fields.find(known.name);
  if (literal == nullptr) return;
  out.literal = *literal;
  if (known.operand == Operand::kTimestamp && !parse_rfc3339(literal->as_string()).ok()) {
    in.diagnostics().schema(fields.at(known.name), "String does not match RFC3339 timestamp");
  }
}

Comparison compile_comparison(StateBuild& in, const Fields& fields) {
  Comparison out;
  if (const json::Value* variable = fields.find("Variable")) {
    out.variable = compile_path(in.diagnostics(), *variable, fields.at("Variable"));
  } else if (!fields.is_written("Variable")) {
    in.diagnostics().schema(fields.where(), "These fields are required: [Variable]");
  }
  int written = 0;
  for (const ComparatorName& known : kComparators) {
    if (fields.is_written(known.name)) {
      ++written;
      out.comparator = known.comparator;
      compile_literal(in, fields, known, out);
    }
    if (!known.path_name.empty() && fields.is_written(known.path_name)) {
      ++written;
      out.comparator = known.comparator;
      if (const json::Value* path = fields.find(known.path_name)) {
        out.operand_path = compile_path(in.diagnostics(), *path, fields.at(known.path_name));
      }
    }
  }
  if (written != 1) in.diagnostics().schema(fields.where(), "Exactly one comparison operator is required");
  return out;
}

Condition compile_condition(StateBuild& in, const Fields& fields, int depth);

Condition compile_nested(StateBuild& in, const json::Value& value, const Where& where, int depth) {
  if (depth > kConditionDepthMax) {
    in.diagnostics().schema(where, "Conditions are nested deeper than " + std::to_string(kConditionDepthMax));
    return {};
  }
  const Fields fields(in.diagnostics(), value, where, {kConditionFields, kComparatorFields});
  if (!fields.is_object()) return {};
  return compile_condition(in, fields, depth);
}

Condition compile_condition(StateBuild& in, const Fields& fields, int depth) {
  Condition out;
  if (!fields.exactly_one({"And", "Or", "Not", "Variable"})) return out;
  if (fields.is_written("Not")) {
    out.kind = Condition::Kind::kNot;
    const json::Value* inner = fields.find("Not");
    if (inner != nullptr) out.children.push_back(compile_nested(in, *inner, fields.at("Not"), depth + 1));
    return out;
  }
  for (const std::string_view name : {"And", "Or"}) {
    if (!fields.is_written(name)) continue;
    out.kind = name == "And" ? Condition::Kind::kAnd : Condition::Kind::kOr;
    const json::Value* list = fields.find(name);
    if (list == nullptr) return out;
    const Where where = fields.at(name);
    if (list->empty()) in.diagnostics().schema(where, "List must contain at least 1 item");
    for (std::size_t i = 0; i < list->size(); ++i) {
      out.children.push_back(compile_nested(in, (*list)[i], where.item(i), depth + 1));
    }
    return out;
  }
  out.comparison = compile_comparison(in, fields);
  return out;
}

void compile_rule(StateBuild& in, Choice& choice, const json::Value& value, const Where& where) {
  const Fields fields(in.diagnostics(), value, where, {kRuleFields, kConditionFields, kComparatorFields},
                      in.state.query_language);
  if (!fields.is_object()) return;
  ChoiceRule rule;
  if (in.is_jsonata()) {
    if (!fields.is_written("Condition")) {
      in.diagnostics().schema(where, "These fields are required: [Condition]");
    }
    rule.query = compile_query(in.diagnostics(), fields, "Condition");
    rule.output = compile_query(in.diagnostics(), fields, "Output");
  } else {
    rule.condition = compile_condition(in, fields, 1);
  }
  if (const json::Value* next = fields.find("Next")) {
    rule.next = compile_target(in, *next, fields.at("Next"), "Next");
  }
  rule.assign = compile_assign(in.diagnostics(), fields);
  choice.rules.push_back(std::move(rule));
}

void compile_choice(StateBuild& in) {
  Choice choice;
  if (const json::Value* rules = in.fields.find("Choices"); rules != nullptr && rules->is_array()) {
    const Where where = in.fields.at("Choices");
    if (rules->empty()) in.diagnostics().schema(where, "List must contain at least 1 item");
    for (std::size_t i = 0; i < rules->size(); ++i) compile_rule(in, choice, (*rules)[i], where.item(i));
  }
  if (const json::Value* next = in.fields.find("Default")) {
    choice.default_next = compile_target(in, *next, in.fields.at("Default"), "Default");
  }
  in.state.body = std::move(choice);
}

}  // namespace

const StateKind& choice_kind() {
  static const StateKind kKind{StateType::kChoice, "Choice", kChoiceFields, false, true, true, false, false,
                               compile_choice};
  return kKind;
}

}  // namespace sortie::asl
