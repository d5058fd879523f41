// Definitions of the kinds that people publish (tests/definitions): AWS's services and patterns, older
// spellings, comments everywhere, YAML with substitutions. Each is validated, linted, drawn and given a
// default Retry.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "asl/default_retry.h"
#include "asl/graph.h"
#include "asl/lint/render.h"
#include "json/text.h"

namespace sortie::asl {
namespace {

// What is found in them, lint's codes or AWS's; nothing in all others.
const std::map<std::string, std::string> kFoundIn = {
    {"choice-no-default.asl.json", "A19"},
    {"playbook-builder-rendered.asl.json", "A06 A04"},
    {"refused-bad-path.asl.json", "SCHEMA_VALIDATION_FAILED SCHEMA_VALIDATION_FAILED"},
    {"refused-duplicate-name.asl.json", "DUPLICATE_STATE_NAME"},
    {"refused-next-and-end.asl.json", "SCHEMA_VALIDATION_FAILED"},
    {"refused-unknown-field.asl.json", "SCHEMA_VALIDATION_FAILED"},
    {"refused-unreachable.asl.json", "MISSING_TRANSITION_TARGET"},
    {"substituted-resource.asl.yaml", "SCHEMA_VALIDATION_FAILED"},
    {"substitutions.asl.yaml", "SCHEMA_VALIDATION_FAILED"},
};

std::string found_codes(const LintedFile& file) {
  std::string out;
  const auto add = [&](const std::string& code) { out += (out.empty() ? "" : " ") + code; };
  for (const Diagnostic& diagnostic : file.diagnostics) add(diagnostic.code);
  for (const Finding& finding : file.findings) add(finding.code);
  return out;
}

class PublishedDefinitions : public testing::TestWithParam<std::filesystem::path> {
 protected:
  static std::string text() {
    std::ifstream stream(GetParam());
    std::stringstream text;
    text << stream.rdbuf();
    return text.str();
  }
};

TEST_P(PublishedDefinitions, AreWhatAwsTakesThemForAndLintFindsWhatIsThere) {
  const std::string name = GetParam().filename();
  const LintedFile file = lint_file(name, text(), {}, {});
  const auto expected = kFoundIn.find(name);
  const std::vector<LintedFile> files = {file};
  EXPECT_EQ(found_codes(file), expected == kFoundIn.end() ? "" : expected->second) << render_lint_text(files);
}

TEST_P(PublishedDefinitions, AreDrawnWithAllTheirStates) {
  const Graph graph = make_graph(text());
  const Compilation compilation = compile(text());
  const std::string drawn = render_graph_text(graph);
  if (!compilation.ok()) {
    EXPECT_FALSE(drawn.empty());
    return;
  }
  for (const Flow& flow : compilation.machine->flows) {
    for (const State& state : flow.states) {
      EXPECT_NE(drawn.find(state.name + " ("), std::string::npos) << state.name;
    }
  }
  EXPECT_FALSE(render_graph_mermaid(graph).empty());
  EXPECT_FALSE(render_graph_dot(graph).empty());
}

TEST_P(PublishedDefinitions, KeepTheirTextWhenTheyGetADefaultRetry) {
  if (!compile(text()).ok()) return;
  const json::Value retry = *json::parse(R"([{"ErrorEquals":["States.Timeout"],"MaxAttempts":1}])");
  const DefaultRetryText made = with_default_retry(text(), retry);
  EXPECT_FALSE(made.is_reprinted);
  EXPECT_TRUE(compile(made.text).ok()) << compile(made.text).error_text();
  EXPECT_EQ(with_default_retry(made.text, retry).text, made.text);
}

std::vector<std::filesystem::path> published_definitions() {
  std::vector<std::filesystem::path> files;
  const std::filesystem::path folder = std::filesystem::path(SORTIE_SOURCE_DIR) / "tests" / "definitions";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

INSTANTIATE_TEST_SUITE_P(All, PublishedDefinitions, testing::ValuesIn(published_definitions()));

}  // namespace
}  // namespace sortie::asl
