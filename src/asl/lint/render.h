#pragma once
// Findings and diagnostics for people and programs: text lines, JSON, SARIF 2.1.0.
//
//   playbooks/contain.asl.json:12:7 A02 'Ask' waits for a callback without ...
//     /States/Ask: Set TimeoutSeconds (or HeartbeatSeconds) and catch States.Timeout.
//
// A finding is one line, indented below it stand its JSON pointer and the cure. SARIF holds what GitHub code
// scanning asks for: rules with help, a level, a message and a region for each result.
// Lines and columns count from 1, columns in characters. Everything keeps the order it was found in.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "asl/compile.h"
#include "asl/lint/lint.h"

namespace sortie::asl {

// One linted file. A definition that does not compile has diagnostics and no findings.
struct LintedFile {
  std::string path;
  std::string text;
  std::vector<Diagnostic> diagnostics;
  std::vector<Finding> findings;
};

// Compiles and lints one definition.
LintedFile lint_file(std::string path, std::string text, const CompileOptions& options,
                     const LintKnowledge& knowledge);

std::string render_lint_text(std::span<const LintedFile> files);
std::string render_lint_json(std::span<const LintedFile> files);
std::string render_lint_sarif(std::span<const LintedFile> files, std::string_view version);

}  // namespace sortie::asl
