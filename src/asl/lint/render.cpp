#include "asl/lint/render.h"

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
    Report report{.code = found.code, .message = found.message, .cure = "", .related = {}};
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

json::Value sarif_location(const std::string& path, const Place& place) {
  json::Value region =
      json::Value::object({{"startLine", place.position.line}, {"startColumn", place.position.column}});
  json::Value artifact = json::Value::object({{"uri", percent_encode(path, true)}});
  json::Value physical = json::Value::object({{"artifactLocation", artifact}, {"region", region}});
  json::Value logical = json::Value::object({{"fullyQualifiedName", place.pointer}});
  return json::Value::object(
      {{"physicalLocation", physical}, {"logicalLocations", json::Value::array({logical})}});
}

json::Value sarif_result(const std::string& path, const Report& report) {
  json::ObjectBuilder result;
  result.set("ruleId", report.code)
      .set("level", report.is_error ? "error" : "warning")
      .set("message", json::Value::object({{"text", report.message}}))
      .set("locations", json::Value::array({sarif_location(path, report.place)}));
  std::vector<json::Value> related;
  for (const Place& place : report.related) related.push_back(sarif_location(path, place));
  if (!related.empty()) result.set("relatedLocations", json::Value::array(std::move(related)));
  return result.build();
}

json::Value sarif_rules() {
  std::vector<json::Value> rules;
  for (const LintRule& rule : lint_rules()) {
    const json::Value level =
        json::Value::object({{"level", rule.severity == FindingSeverity::kError ? "error" : "warning"}});
    rules.push_back(json::Value::object({{"id", rule.code},
                                         {"shortDescription", json::Value::object({{"text", rule.title}})},
                                         {"help", json::Value::object({{"text", rule.cure}})},
                                         {"defaultConfiguration", level}}));
  }
  return json::Value::array(std::move(rules));
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
  std::vector<json::Value> results;
  for (const LintedFile& file : files) {
    for (const Report& report : reports_of(file)) results.push_back(sarif_result(file.path, report));
  }
  const json::Value driver =
      json::Value::object({{"name", "sortie"}, {"semanticVersion", version}, {"rules", sarif_rules()}});
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
