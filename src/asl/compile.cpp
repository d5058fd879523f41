#include "asl/compile.h"

#include "asl/build.h"
#include "asl/json_error.h"
#include "base/text.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::asl {
namespace {

constexpr FieldSpec kMachineFields[] = {
    {.name = "Version", .kind = FieldKind::kString},
    {.name = "TimeoutSeconds", .kind = FieldKind::kInteger, .min = 1, .max = kSecondsMax},
};

bool is_json_text(std::string_view text) { return trim(text).starts_with('{'); }

// Text that reads as a YAML mapping is YAML. Everything else is judged as the JSON it should have been.
std::optional<json::Value> read_yaml(std::string_view text, Diagnostics& diagnostics) {
  Result<json::YamlDocument> document = json::parse_yaml(text);
  if (document.ok()) {
    if (document->value.is_object()) return std::move(document->value);
    return std::nullopt;
  }
  // A first line such as "StartAt: A" was meant as YAML; its author is not helped by a complaint about JSON.
  if (text.find(':') != std::string_view::npos && trim(text).front() != '[' && trim(text).front() != '"') {
    diagnostics.add({.severity = Diagnostic::Severity::kError,
                     .code = std::string(kInvalidJson),
                     .message = "The definition is not valid YAML: " + document.error().message,
                     .location = document.error().place,
                     .pointer = ""});
  }
  return std::nullopt;
}

std::optional<json::Value> read_json(std::string_view text, Diagnostics& diagnostics) {
  if (std::optional<JsonFault> fault = find_json_fault(text, kDefinitionDepthMax)) {
    diagnostics.add({.severity = Diagnostic::Severity::kError,
                     .code = std::string(kInvalidJson),
                     .message = std::move(fault->message),
                     .location = std::move(fault->location),
                     .pointer = ""});
    return std::nullopt;
  }
  Result<json::Value> value = json::parse(text);
  if (value.ok()) return std::move(*value);
  diagnostics.add({.severity = Diagnostic::Severity::kError,
                   .code = std::string(kInvalidJson),
                   .message = value.error().message,
                   .location = value.error().place,
                   .pointer = ""});
  return std::nullopt;
}

// What is wrong with the text as a whole has no location.
void report_text(Diagnostics& diagnostics, std::string message) {
  diagnostics.add({.severity = Diagnostic::Severity::kError,
                   .code = std::string(kSchemaFailed),
                   .message = std::move(message),
                   .location = "",
                   .pointer = ""});
}

std::optional<json::Value> read_definition(std::string_view text, Diagnostics& diagnostics) {
  if (text.size() > kDefinitionBytesMax) {
    report_text(diagnostics,
                "Definition must not be larger than " + std::to_string(kDefinitionBytesMax) + " bytes");
    return std::nullopt;
  }
  if (trim(text).empty()) {
    report_text(diagnostics, "Definition must be a valid JSON object");
    return std::nullopt;
  }
  std::optional<json::Value> value;
  if (!is_json_text(text)) value = read_yaml(text, diagnostics);
  if (!value && !diagnostics.has_errors()) value = read_json(text, diagnostics);
  if (!value) return std::nullopt;
  if (!value->is_object()) {
    report_text(diagnostics, "Definition must be a valid JSON object");
    return std::nullopt;
  }
  if (value->depth() > kDefinitionDepthMax) {
    report_text(diagnostics, "Definition must not be nested deeper than " +
                                 std::to_string(kDefinitionDepthMax) + " levels");
    return std::nullopt;
  }
  return value;
}

void compile_machine(Build& build, const json::Value& value) {
  const Where root;
  if (const json::Value* language = value.find("QueryLanguage");
      language != nullptr && language->is_string()) {
    if (language->as_string() == "JSONata") {
      build.language = QueryLanguage::kJsonata;
    } else if (language->as_string() != "JSONPath") {
      build.diagnostics.schema(root.member("QueryLanguage"), "Value must be one of: [JSONPath, JSONata]");
    }
  }
  compile_flow(build, value, root, kMachineFields, 0, kNoState);
  StateMachine& machine = build.machine;
  if (const json::Value& comment = value.get("Comment"); comment.is_string()) {
    machine.comment = comment.to_std_string();
  }
  if (const json::Value& version = value.get("Version"); version.is_string()) {
    machine.version = version.to_std_string();
    if (machine.version != "1.0")
      build.diagnostics.schema(root.member("Version"), "Value must be one of: [1.0]");
  }
  if (const json::Value& timeout = value.get("TimeoutSeconds"); timeout.is_number()) {
    machine.timeout_seconds = static_cast<std::int64_t>(timeout.as_double());
  }
}

}  // namespace

std::string Compilation::error_text() const {
  std::string out;
  for (const Diagnostic& found : diagnostics) {
    if (found.severity != Diagnostic::Severity::kError) continue;
    if (!out.empty()) out += ", ";
    out += found.code + ": " + found.message;
    if (!found.location.empty()) out += " at " + found.location;
  }
  return out;
}

Compilation compile(std::string_view definition, const CompileOptions& options) {
  Compilation out;
  Diagnostics diagnostics;
  const std::optional<json::Value> value = read_definition(definition, diagnostics);
  if (value) {
    auto machine = std::make_shared<StateMachine>();
    machine->definition = definition;
    Build build{.options = options, .machine = *machine, .diagnostics = diagnostics, .state_names = {}};
    compile_machine(build, *value);
    out.machine = std::move(machine);
  }
  out.diagnostics = diagnostics.take();
  if (!out.diagnostics.empty()) out.machine = nullptr;
  return out;
}

}  // namespace sortie::asl
