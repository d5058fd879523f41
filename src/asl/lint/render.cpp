#include "asl/lint/render.h"

#include <algorithm>
#include <charconv>

#include "asl/source.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::asl {
namespace {

struct Place {
  std::string pointer;
  json::Position position;
};

// A finding or a diagnostic, with its place in the text.
struct Report {
  std::string code, message, cure;
  bool is_error = false;
  Place place;
  std::vector<Place> related;
};

// What AWS's own diagnostics are about.
struct DiagnosticRule {
  std::string_view code, title, cure;
};
constexpr DiagnosticRule kDiagnosticRules[] = {
    {"INVALID_JSON_DESCRIPTION", "The definition cannot be read",
     "Correct the text at this place; the rest is checked when it can be read."},
    {"SCHEMA_VALIDATION_FAILED", "The States Language does not allow it",
     "Write this member as the States Language wants it, or remove it."},
    {"MISSING_TRANSITION_TARGET", "A transition that leads nowhere, or a state that none leads to",
     "Name a state of the same States object; branches and processors have their own."},
    {"DUPLICATE_STATE_NAME", "A state name that is used twice",
     "Rename one of the states: a name is used once in a whole state machine."},
    {"NOT_SUPPORTED_YET", "AWS runs it, Sortie does not",
     "Do it in another way; docs/aws-compatibility.md says what is not supported."},
};

constexpr const char* kSubstitutionCure =
    "Fill in the template's substitutions first: only what they make is a definition.";

std::string cure_of(std::string_view code) {
  const auto* found = std::find_if(std::begin(kDiagnosticRules), std::end(kDiagnosticRules),
                                   [&](const DiagnosticRule& rule) { return rule.code == code; });
  return found == std::end(kDiagnosticRules) ? "" : std::string(found->cure);
}

// "line: 3, column: 7" or "line 3, column 7", as readers of JSON and YAML tell it.
json::Position position_in_words(std::string_view location) {
  json::Position out;
  const auto number_after = [&](std::string_view word, int& value) {
    std::size_t at = location.rfind(word);
    if (at == std::string_view::npos) return;
    at = location.find_first_of("0123456789", at + word.size());
    if (at == std::string_view::npos) return;
    std::from_chars(location.data() + at, location.data() + location.size(), value);
  };
  number_after("line", out.line);
  number_after("column", out.column);
  return out;
}

std::vector<Report> reports_of(const LintedFile& file) {
  const DefinitionSource source(file.text);
  const auto place_of = [&](const std::string& pointer) { return Place{pointer, source.position(pointer)}; };
  std::vector<Report> out;
  for (const Diagnostic& found : file.diagnostics) {
    Report report{.code = found.code, .message = found.message, .cure = cure_of(found.code), .related = {}};
    if (found.message.find("${") != std::string::npos) report.cure = kSubstitutionCure;
    report.message = report.message.substr(0, report.message.find("\n at [Source"));
    report.is_error = found.severity == Diagnostic::Severity::kError;
    report.place = place_of(found.pointer);
    if (found.code == "INVALID_JSON_DESCRIPTION") report.place.position = position_in_words(found.location);
    out.push_back(std::move(report));
  }
  for (const Finding& found : file.findings) {
    Report report{.code = found.code, .message = found.message, .cure = found.cure, .related = {}};
    report.is_error = found.severity == FindingSeverity::kError;
    report.place = place_of(found.pointer);
    for (const std::string& pointer : found.related) report.related.push_back(place_of(pointer));
    out.push_back(std::move(report));
  }
  return out;
}

json::Value place_json(const Place& place) {
  return json::Value::object(
      {{"pointer", place.pointer}, {"line", place.position.line}, {"column", place.position.column}});
}

json::Value text_json(std::string_view text) { return json::Value::object({{"text", text}}); }

json::Value sarif_location(const std::string& path, const Place& place) {
  // A region ends where it begins: a place, not a stretch.
  json::Value region = json::Value::object({{"startLine", place.position.line},
                                            {"startColumn", place.position.column},
                                            {"endLine", place.position.line},
                                            {"endColumn", place.position.column + 1}});
  const std::string uri = (path.starts_with('/') ? "file://" : "") + percent_encode(path, true);
  json::Value artifact = json::Value::object({{"uri", uri}});
  json::Value physical = json::Value::object({{"artifactLocation", artifact}, {"region", region}});
  json::Value logical = json::Value::object({{"fullyQualifiedName", place.pointer}});
  return json::Value::object(
      {{"physicalLocation", physical}, {"logicalLocations", json::Value::array({logical})}});
}

json::Value sarif_rule(std::string_view code, std::string_view title, std::string_view cure, bool is_error) {
  return json::Value::object(
      {{"id", code},
       {"name", code},
       {"shortDescription", text_json(title)},
       {"fullDescription", text_json(std::string(title) + ". " + std::string(cure))},
       {"help", text_json(cure)},
       {"defaultConfiguration", json::Value::object({{"level", is_error ? "error" : "warning"}})},
       {"properties",
        json::Value::object({{"problem.severity", is_error ? "error" : "warning"}, {"precision", "high"}})}});
}

std::vector<json::Value> sarif_rules() {
  std::vector<json::Value> rules;
  for (const LintRule& rule : lint_rules()) {
    rules.push_back(sarif_rule(rule.code, rule.title, rule.cure, rule.severity == FindingSeverity::kError));
  }
  for (const DiagnosticRule& rule : kDiagnosticRules) {
    rules.push_back(sarif_rule(rule.code, rule.title, rule.cure, true));
  }
  return rules;
}

json::Value sarif_result(const std::string& path, const Report& report,
                         const std::vector<json::Value>& rules) {
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const json::Value& candidate) {
    return candidate.get("id") == json::Value(report.code);
  });
  json::ObjectBuilder result;
  result.append("ruleId", report.code);
  if (rule != rules.end()) result.append("ruleIndex", static_cast<std::int64_t>(rule - rules.begin()));
  result.append("level", report.is_error ? "error" : "warning")
      .append("message", text_json(report.message + (report.cure.empty() ? "" : "\n" + report.cure)))
      .append("locations", json::Value::array({sarif_location(path, report.place)}));
  std::vector<json::Value> related;
  for (const Place& place : report.related) {
    related.push_back(json::ObjectBuilder(sarif_location(path, place))
                          .set("id", static_cast<std::int64_t>(related.size() + 1))
                          .set("message", text_json("here, too"))
                          .build());
  }
  if (!related.empty()) result.append("relatedLocations", json::Value::array(std::move(related)));
  return result.build();
}

}  // namespace

LintedFile lint_file(std::string path, std::string text, const CompileOptions& options,
                     const LintKnowledge& knowledge) {
  LintedFile out{.path = std::move(path), .text = std::move(text), .diagnostics = {}, .findings = {}};
  Compilation compilation = compile(out.text, options);
  out.diagnostics = std::move(compilation.diagnostics);
  if (compilation.machine) out.findings = lint(*compilation.machine, knowledge);
  return out;
}

std::string render_lint_text(std::span<const LintedFile> files) {
  std::string out;
  for (const LintedFile& file : files) {
    for (const Report& report : reports_of(file)) {
      out += file.path + ":" + std::to_string(report.place.position.line) + ":" +
             std::to_string(report.place.position.column) + " " + report.code + " " +
             replace_all(report.message, "\n", " ") + "\n";
      if (!report.cure.empty()) {
        out +=
            "    " + (report.place.pointer.empty() ? "/" : report.place.pointer) + ": " + report.cure + "\n";
      }
    }
  }
  return out;
}

std::string render_lint_json(std::span<const LintedFile> files) {
  std::vector<json::Value> findings;
  std::int64_t errors = 0;
  std::int64_t warnings = 0;
  for (const LintedFile& file : files) {
    for (const Report& report : reports_of(file)) {
      ++(report.is_error ? errors : warnings);
      std::vector<json::Value> related;
      for (const Place& place : report.related) related.push_back(place_json(place));
      json::ObjectBuilder finding;
      finding.set("file", file.path)
          .set("line", report.place.position.line)
          .set("column", report.place.position.column)
          .set("code", report.code)
          .set("severity", report.is_error ? "error" : "warning")
          .set("message", report.message)
          .set("pointer", report.place.pointer)
          .set("cure", report.cure)
          .set("related", json::Value::array(std::move(related)));
      findings.push_back(finding.build());
    }
  }
  return json::to_pretty_text(json::Value::object({{"findings", json::Value::array(std::move(findings))},
                                                   {"errors", errors},
                                                   {"warnings", warnings}})) +
         "\n";
}

std::string render_lint_sarif(std::span<const LintedFile> files, std::string_view version) {
  const std::vector<json::Value> rules = sarif_rules();
  std::vector<json::Value> results;
  for (const LintedFile& file : files) {
    for (const Report& report : reports_of(file)) results.push_back(sarif_result(file.path, report, rules));
  }
  const json::Value driver = json::Value::object(
      {{"name", "sortie"}, {"semanticVersion", version}, {"rules", json::Value::array(rules)}});
  const json::Value run = json::Value::object({{"tool", json::Value::object({{"driver", driver}})},
                                               {"columnKind", "unicodeCodePoints"},
                                               {"results", json::Value::array(std::move(results))}});
  return json::to_pretty_text(
             json::Value::object({{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                                  {"version", "2.1.0"},
                                  {"runs", json::Value::array({run})}})) +
         "\n";
}

}  // namespace sortie::asl
