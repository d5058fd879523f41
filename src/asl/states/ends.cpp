// Succeed and Fail: the states that end a flow.
#include "asl/states/states.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kSucceedFields[] = {
    {.name = "Output", .language = FieldLanguage::kJsonata},
};

constexpr FieldSpec kFailFields[] = {
    {.name = "Error", .kind = FieldKind::kString},
    {.name = "ErrorPath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
    {.name = "Cause", .kind = FieldKind::kString},
    {.name = "CausePath", .kind = FieldKind::kString, .language = FieldLanguage::kJsonPath},
};

// The intrinsic functions that give a string; the others have no place in ErrorPath and CausePath.
constexpr std::string_view kTextFunctions[] = {
    "States.Format",       "States.JsonToString", "States.ArrayGetItem", "States.Base64Encode",
    "States.Base64Decode", "States.Hash",         "States.UUID",
};

std::optional<intrinsic::Expression> compile_text_path(StateBuild& in, std::string_view name) {
  const json::Value* value = in.fields.find(name);
  if (value == nullptr || in.is_jsonata()) return std::nullopt;
  const Where where = in.fields.at(name);
  if (value->as_string().starts_with('$')) return compile_reference_path(in.diagnostics(), *value, where);
  Result<intrinsic::Expression> call = intrinsic::Expression::compile(value->as_string());
  if (call.ok() && !call->is_path()) {
    for (const std::string_view function : kTextFunctions) {
      if (call->function_name() == function) return std::move(*call);
    }
  }
  in.diagnostics().schema(where, "The value for the field '" + std::string(name) +
                                     "' must be a valid JSONPath or a valid intrinsic function call");
  return std::nullopt;
}

void compile_succeed(StateBuild& in) { in.state.body = Succeed{}; }

void compile_fail(StateBuild& in) {
  Fail fail;
  in.fields.exactly_one({"Error", "ErrorPath"}, false);
  in.fields.exactly_one({"Cause", "CausePath"}, false);
  fail.error_query = compile_expression(in.diagnostics(), in.fields, "Error");
  fail.error = in.fields.text("Error");
  fail.error_path = compile_text_path(in, "ErrorPath");
  fail.cause_query = compile_expression(in.diagnostics(), in.fields, "Cause");
  fail.cause = in.fields.text("Cause");
  fail.cause_path = compile_text_path(in, "CausePath");
  in.state.body = std::move(fail);
}

}  // namespace

const StateKind& succeed_kind() {
  static const StateKind kKind{
      StateType::kSucceed, "Succeed", kSucceedFields, false, true, false, false, false, compile_succeed};
  return kKind;
}

const StateKind& fail_kind() {
  static const StateKind kKind{StateType::kFail, "Fail", kFailFields, false, false, false, false, false,
                               compile_fail};
  return kKind;
}

}  // namespace sortie::asl
