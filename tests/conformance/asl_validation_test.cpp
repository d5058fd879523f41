// compile() against what AWS said when the definitions of ../shared/corpus/asl were created or validated.
//
// Each create, update or validate call of a recorded case is one row: AWS accepted the definition, or
// answered InvalidDefinition or a list of diagnostics. A definition that AWS runs and Sortie does not yet
// (distributed Map) counts as "not supported yet", is listed, and is no failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "asl/compile.h"
#include "asl/variable_references.h"
#include "base/text.h"
#include "json/text.h"

namespace sortie::asl {
namespace {

struct Tally {
  int agreed = 0;
  int not_supported_yet = 0;
  std::vector<std::string> differences;
};

std::filesystem::path corpus() {
  return std::filesystem::path(SORTIE_SOURCE_DIR) / ".." / "shared" / "corpus" / "asl";
}

json::Value load(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  Result<json::Value> value = json::parse(text.str());
  return value.ok() ? *value : json::Value();
}

// The text that a call sent, nothing where it sent none.
std::optional<std::string> definition_of(const json::Value& test_case, const json::Value& call) {
  const json::Value& definition = call.get("params").get("definition");
  if (definition.is_string()) return definition.to_std_string();
  const json::Value* index = definition.find("$definition");
  if (index == nullptr) return std::nullopt;
  if (const json::Value* all = test_case.find("definitions")) {
    return (*all)[static_cast<std::size_t>(index->as_integer())].get("string").to_std_string();
  }
  return test_case.get("definition_string").to_std_string();
}

// The recording replaces the partition by a token.
std::string as_recorded(std::string text) { return replace_all(text, "arn:aws:", "arn:<partition>:"); }

bool is_unsupported(const Compilation& compilation) {
  return std::any_of(compilation.diagnostics.begin(), compilation.diagnostics.end(),
                     [](const Diagnostic& d) { return d.code == "NOT_SUPPORTED_YET"; });
}

// What AWS answered instead of creating the machine; empty where it created it.
std::string recorded_refusal(const json::Value& answer) {
  const json::Value& exception = answer.get("exception_value");
  const json::Value& message = exception.is_string() ? exception : answer.get("Error").get("Message");
  constexpr std::string_view kPrefix = "Invalid State Machine Definition: '";
  const std::string text = message.is_string() ? message.to_std_string() : "";
  const std::size_t start = text.find(kPrefix);
  if (start == std::string::npos || !text.ends_with('\'')) return "";
  return text.substr(start + kPrefix.size(), text.size() - start - kPrefix.size() - 1);
}

json::Value diagnostics_as_answered(const Compilation& compilation) {
  std::vector<json::Value> items;
  for (const Diagnostic& found : compilation.diagnostics) {
    json::ObjectBuilder item;
    item.set("code", found.code).set("message", found.message).set("severity", "ERROR");
    if (!found.location.empty()) item.set("location", found.location);
    items.push_back(item.build());
  }
  return json::Value::array(std::move(items));
}

void judge(const json::Value& test_case, const json::Value& call, const std::string& file, Tally& tally) {
  const std::optional<std::string> text = definition_of(test_case, call);
  const std::string op = call.get("op").is_string() ? call.get("op").to_std_string() : "";
  if (!text || (op != "create_state_machine" && op != "update_state_machine" &&
                op != "validate_state_machine_definition")) {
    return;
  }
  CompileOptions options{.type = MachineType::kStandard, .strict = true};
  if (call.get("params").get("type") == json::Value("EXPRESS")) options.type = MachineType::kExpress;
  const Compilation compilation = compile(*text, options);
  const json::Value& answer = call.get("expect").is_string()
                                  ? test_case.get("expected").get(call.get("expect").as_string())
                                  : call.get("expect");
  const std::string refusal = recorded_refusal(answer);
  bool agrees = false;
  if (op == "validate_state_machine_definition") {
    agrees = diagnostics_as_answered(compilation) == answer.get("diagnostics");
  } else if (!refusal.empty()) {
    agrees = as_recorded(compilation.error_text()) == refusal;
  } else {
    agrees = compilation.ok();
  }
  if (agrees) {
    ++tally.agreed;
  } else if (is_unsupported(compilation)) {
    ++tally.not_supported_yet;
  } else {
    tally.differences.push_back(file + " " + op + "\n  recorded: " +
                                (refusal.empty() ? json::to_text(answer.get("diagnostics")) : refusal) +
                                "\n  answered: " + compilation.error_text());
  }
}

TEST(AslValidation, AnswersEachRecordedDefinitionAsAwsDid) {
  if (!std::filesystem::exists(corpus() / "index.json")) {
    GTEST_SKIP() << "SKIP: the recordings ../shared/corpus/asl are not beside the repository";
  }
  Tally tally;
  const json::Value index = load(corpus() / "index.json");
  for (const json::Value& entry : index.items()) {
    const bool is_own = entry.get("recorded_against") == json::Value("localstack");
    if (is_own) continue;  // Not AWS's words.
    const std::string file = entry.get("file").to_std_string();
    const json::Value test_case = load(corpus() / file);
    for (const json::Value& call : test_case.get("calls").items()) judge(test_case, call, file, tally);
  }
  std::printf("asl validation: %d agree, %d not supported yet, %zu differ\n", tally.agreed,
              tally.not_supported_yet, tally.differences.size());
  for (const std::string& difference : tally.differences) ADD_FAILURE() << difference;
  EXPECT_GT(tally.agreed, 100);
}

json::Value references_of(const StateMachine& machine) {
  json::ObjectBuilder out;
  for (const auto& [state, names] : variable_references(machine)) {
    std::vector<json::Value> list(names.begin(), names.end());
    out.set(state, json::Value::array(std::move(list)));
  }
  return out.build();
}

TEST(AslValidation, ListsTheVariablesThatAwsLists) {
  const std::filesystem::path folder = corpus() / "sfn_api_variable_references";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << "SKIP: the recordings ../shared/corpus/asl are not beside the repository";
  }
  int compared = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const json::Value test_case = load(entry.path());
    const Compilation compilation = compile(test_case.get("definition_string").to_std_string());
    if (is_unsupported(compilation)) continue;
    ASSERT_TRUE(compilation.ok()) << entry.path() << compilation.error_text();
    const json::Value& recorded =
        test_case.get("expected").get("describe_response").get("variableReferences");
    EXPECT_EQ(references_of(*compilation.machine), recorded) << entry.path();
    ++compared;
  }
  EXPECT_GE(compared, 5);
}

}  // namespace
}  // namespace sortie::asl
