// The fields that several state types share: paths, payload templates, Assign, numbers, targets.
#include "asl/build.h"
#include "base/text.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kState[] = {
    {.name = "Type", .kind = FieldKind::kString, .required = true},
    {.name = "Comment", .kind = FieldKind::kString},
    {.name = "QueryLanguage", .kind = FieldKind::kString},
};

constexpr FieldSpec kTransition[] = {
    {.name = "Next", .kind = FieldKind::kString},
    {.name = "End", .kind = FieldKind::kBoolean},
};

constexpr FieldSpec kSelect[] = {
    {.name = "InputPath", .kind = FieldKind::kStringOrNull, .language = FieldLanguage::kJsonPath},
    {.name = "OutputPath", .kind = FieldKind::kStringOrNull, .language = FieldLanguage::kJsonPath},
};

constexpr FieldSpec kAssignOutput[] = {
    {.name = "Assign", .kind = FieldKind::kObject},
    {.name = "Output", .language = FieldLanguage::kJsonata},
};

constexpr FieldSpec kResult[] = {
    {.name = "Parameters", .language = FieldLanguage::kJsonPath},
    {.name = "ResultSelector", .kind = FieldKind::kObject, .language = FieldLanguage::kJsonPath},
    {.name = "ResultPath", .kind = FieldKind::kStringOrNull, .language = FieldLanguage::kJsonPath},
    {.name = "Arguments", .language = FieldLanguage::kJsonata},
};

constexpr FieldSpec kErrors[] = {
    {.name = "Retry", .kind = FieldKind::kArray},
    {.name = "Catch", .kind = FieldKind::kArray},
};

// `"k.$": "$.x"` in a template: the object that holds the member is where AWS points.
void report_template(Diagnostics& diagnostics, const Where& where, const Error& error) {
  Diagnostic found{.severity = Diagnostic::Severity::kError,
                   .code = std::string(kSchemaFailed),
                   .message = error.message,
                   .location = where.location(),
                   .pointer = where.pointer()};
  if (!error.place.empty()) {
    found.location += error.place;
    found.pointer += error.place;
  }
  diagnostics.add(std::move(found));
}

}  // namespace

const FieldTable kStateFields = kState;
const FieldTable kTransitionFields = kTransition;
const FieldTable kSelectFields = kSelect;
const FieldTable kAssignFields = kAssignOutput;
const FieldTable kResultFields = kResult;
const FieldTable kErrorFields = kErrors;

StateIndex compile_target(const StateBuild& in, const json::Value& name, const Where& where,
                          std::string_view what) {
  if (!name.is_string()) return kNoState;
  const auto found = in.names.find(name.as_string());
  if (found != in.names.end()) return found->second;
  in.diagnostics().error(kMissingTarget, where,
                         "Missing '" + std::string(what) + "' target: " + name.to_std_string());
  return kNoState;
}

std::optional<intrinsic::Expression> compile_path(Diagnostics& diagnostics, const json::Value& text,
                                                  const Where& where) {
  if (!text.is_string()) return std::nullopt;
  Result<intrinsic::Expression> compiled = intrinsic::Expression::compile(text.as_string());
  if (compiled.ok() && compiled->is_path() && text.as_string().starts_with('$')) return std::move(*compiled);
  diagnostics.schema(where, "Value is not a valid JSONPath");
  return std::nullopt;
}

std::optional<intrinsic::Expression> compile_reference_path(Diagnostics& diagnostics, const json::Value& text,
                                                            const Where& where) {
  std::optional<intrinsic::Expression> path = compile_path(diagnostics, text, where);
  if (!path) return std::nullopt;
  if (path->path() != nullptr && path->path()->is_reference()) return path;
  diagnostics.schema(where, "Value is not a Reference Path: it must name exactly one place");
  return std::nullopt;
}

std::optional<intrinsic::Expression> compile_reference_path(const StateBuild& in, std::string_view name) {
  const json::Value* value = in.fields.find(name);
  if (value == nullptr || in.is_jsonata()) return std::nullopt;
  return compile_reference_path(in.diagnostics(), *value, in.fields.at(name));
}

SelectPath compile_select_path(const StateBuild& in, std::string_view name) {
  const json::Value* value = in.fields.find(name);
  if (value == nullptr || in.is_jsonata()) return {};
  if (value->is_null()) return {.is_null = true};
  if (value->is_string() && value->as_string() == "$") return {};
  return {.path = compile_path(in.diagnostics(), *value, in.fields.at(name))};
}

ResultPath compile_result_path(Diagnostics& diagnostics, const Fields& fields) {
  const json::Value* value = fields.find("ResultPath");
  if (value == nullptr || fields.language() == QueryLanguage::kJsonata) return {};
  if (value->is_null()) return {.is_null = true};
  const std::string_view text = value->as_string();
  if (text == "$") return {};
  Result<jsonpath::Path> path = jsonpath::Path::compile_reference(text);
  if (path.ok() && text.starts_with('$') && !text.starts_with("$$")) return {.path = std::move(*path)};
  diagnostics.schema(fields.at("ResultPath"),
                     text.starts_with("$$")
                         ? "Value is not a Reference Path: the context object is read-only"
                         : "Value is not a Reference Path: it must name exactly one place");
  return {};
}

std::optional<intrinsic::PayloadTemplate> compile_template(Diagnostics& diagnostics, const Fields& fields,
                                                           std::string_view name) {
  const json::Value* value = fields.find(name);
  if (value == nullptr || fields.language() == QueryLanguage::kJsonata) return std::nullopt;
  Result<intrinsic::PayloadTemplate> compiled = intrinsic::PayloadTemplate::compile(*value);
  if (compiled.ok()) return std::move(*compiled);
  report_template(diagnostics, fields.at(name), compiled.error());
  return std::nullopt;
}

std::optional<JsonataTemplate> compile_query(Diagnostics& diagnostics, const Fields& fields,
                                             std::string_view name, StatesMembers available) {
  const json::Value* value = fields.find(name);
  if (value == nullptr || fields.language() != QueryLanguage::kJsonata) return std::nullopt;
  const Where where = fields.at(name);
  Result<JsonataTemplate> compiled = JsonataTemplate::compile(*value);
  const auto about = [&](std::string_view expression, std::string_view path) {
    return "The JSONata expression '" + std::string(expression) + "' specified for the field '" +
           std::string(name) + std::string(path) + "' ";
  };
  if (!compiled.ok()) {
    const Error& error = compiled.error();
    diagnostics.schema(where, about(error.hint, error.place) + "is not valid. " + error.message);
    return std::nullopt;
  }
  for (const StatesMembers member : {kStatesResult, kStatesErrorOutput}) {
    if ((available & member) != 0) continue;
    if (const std::optional<std::string> expression = compiled->expression_naming(member)) {
      diagnostics.schema(where, about(*expression, "") + "refers to '" +
                                    (member == kStatesResult ? "$states.result" : "$states.errorOutput") +
                                    "', which is not available there");
    }
  }
  return std::move(*compiled);
}

std::optional<JsonataTemplate> compile_expression(Diagnostics& diagnostics, const Fields& fields,
                                                  std::string_view name) {
  const json::Value* value = fields.find(name);
  if (value == nullptr || !is_jsonata_expression(*value)) return std::nullopt;
  return compile_query(diagnostics, fields, name);
}

std::optional<Template> compile_either(Diagnostics& diagnostics, const Fields& fields, std::string_view name,
                                       StatesMembers available) {
  if (fields.language() == QueryLanguage::kJsonata) {
    return compile_query(diagnostics, fields, name, available);
  }
  return compile_template(diagnostics, fields, name);
}

std::optional<Template> compile_assign(Diagnostics& diagnostics, const Fields& fields,
                                       StatesMembers available) {
  const json::Value* value = fields.find("Assign");
  if (value == nullptr || !value->is_object()) return std::nullopt;
  const Where where = fields.at("Assign");
  for (const json::Member& member : value->members()) {
    std::string_view name = member.key.as_string();
    if (fields.language() == QueryLanguage::kJsonPath && name.ends_with(".$")) name.remove_suffix(2);
    const bool is_name =
        !name.empty() && (name[0] < '0' || name[0] > '9') &&
        name.find_first_of(" \t\n\r.$[](){}'\"@*?,:;!<>=+-/\\&|%^~`#") == std::string_view::npos;
    if (!is_name || name == "states" || count_code_points(name) > kVariableNameCharactersMax) {
      diagnostics.schema(where.member(member.key.as_string()),
                         "The variable name '" + std::string(name) + "' is not valid");
    }
  }
  return compile_either(diagnostics, fields, "Assign", available);
}

NumberField compile_number(const StateBuild& in, std::string_view name, std::string_view path_name) {
  in.fields.exactly_one({name, path_name}, false);
  NumberField out;
  out.literal = in.fields.number(name);
  if (!out.literal) out.path = compile_reference_path(in, path_name);
  out.query = compile_expression(in.diagnostics(), in.fields, name);
  return out;
}

}  // namespace sortie::asl
