// JSONPath against the recorded answers of Jayway JsonPath 2.0.0, and intrinsic functions against executions
// recorded on AWS.
#include <algorithm>

#include "base/hash.h"
#include "base/text.h"
#include "events_corpus.h"
#include "expr/intrinsic/intrinsic.h"
#include "expr/intrinsic/payload_template.h"
#include "expr/jsonpath/jsonpath.h"

namespace sortie {
namespace {

using test::corpus_path;
using test::load_rows;
using test::Tally;

Result<json::Value> evaluate(std::string_view selector, const json::Value& document) {
  SORTIE_TRY(const jsonpath::Path path, jsonpath::Path::compile(selector));
  return path.evaluate(document);
}

std::string shown(const json::Value& row, const Result<json::Value>& got) {
  return json::to_text(row.get("selector")) + " gave " +
         std::string(truncate_utf8(got ? json::to_text(*got) : to_text(got.error()), 300));
}

TEST(JsonPathConformance, AnswersAsTheReferenceLibrary) {
  SORTIE_NEED_CORPUS("jsonpath");
  Tally tally("features");
  Tally wording("features, texts of NOT_FOUND");
  for (const json::Value& row : load_rows(corpus_path("jsonpath/features.json"))) {
    const json::Value& want = row.get("jayway_2_0_0");
    const json::Value selector = row.get("selector");
    const auto got = evaluate(selector.as_string(), *json::parse(row.get("document").as_string()));
    if (want.has("result")) {
      tally.row(got && *got == want.get("result"), shown(row, got));
      tally.row(
          jsonpath::Path::compile(selector.as_string())->is_definite() == want.get("definite").as_bool(),
          shown(row, got) + " (definiteness)");
    } else if (want.get("error") == json::Value("NOT_FOUND")) {
      tally.row(!got && got.error().code == jsonpath::kPathNotFound, shown(row, got));
      wording.row(!got && got.error().message == want.get("message").as_string(), shown(row, got));
    } else {
      tally.row(!got && got.error().code == jsonpath::kInvalidPath, shown(row, got));
    }
  }
}

// The compliance suite of another dialect: the reference library's answers to it are matched all the same.
TEST(JsonPathConformance, SurvivesTheComplianceSuiteOfTheRfc) {
  SORTIE_NEED_CORPUS("jsonpath");
  Tally tally("cts");
  for (const json::Value& row : load_rows(corpus_path("jsonpath/cts.json"))) {
    const json::Value selector = row.get("selector");
    const json::Value* text = row.find("document");
    const auto document = text != nullptr && text->is_string() ? json::parse(text->as_string())
                                                               : Result<json::Value>(row.get("document"));
    const auto got = evaluate(selector.as_string(), *document);
    const json::Value& want = row.get("jayway_2_0_0");
    if (text != nullptr && want.is_object()) {
      tally.row(want.has("result") ? got && *got == want.get("result") : !got, shown(row, got));
    } else {
      tally.row(true, "");
    }
  }
}

TEST(JsonPathConformance, EvaluatesPathsAsAwsDid) {
  SORTIE_NEED_CORPUS("asl-aws");
  Tally tally("asl-aws paths");
  for (const json::Value& row : load_rows(corpus_path("asl-aws/jsonpath.json"))) {
    if (!row.has("path")) continue;
    const json::Value field = row.get("field");
    const json::Value path = row.get("path");
    std::string_view name = field.as_string();
    name.remove_prefix(name.rfind('/') + 1);
    const json::Value tree = json::Value::object({{json::Value(name), path}});
    const auto compiled = intrinsic::PayloadTemplate::compile(tree);
    ASSERT_TRUE(compiled.ok()) << json::to_text(tree);
    const auto got = compiled->evaluate({.input = row.find("input")});
    tally.row(got && *got == row.get("output"), json::to_text(row.get("id")));
  }
}

bool is_single_template(const json::Value& row) {
  const auto states = row.get("definition").get("States").members();
  if (states.size() != 1 || !row.has("output")) return false;
  const json::Value& state = states[0].value;
  return state.get("Type") == json::Value("Pass") && state.has("Parameters") && state.size() == 3;
}

TEST(JsonPathConformance, EvaluatesIntrinsicsAsAwsDid) {
  SORTIE_NEED_CORPUS("asl-aws");
  Tally tally("asl-aws intrinsics");
  SeededRandom random(1);
  for (const json::Value& row : load_rows(corpus_path("asl-aws/intrinsics.json"))) {
    if (!is_single_template(row)) continue;
    const json::Value& tree = row.get("definition").get("States").members()[0].value.get("Parameters");
    const auto compiled = intrinsic::PayloadTemplate::compile(tree);
    ASSERT_TRUE(compiled.ok()) << json::to_text(tree) << to_text(compiled.error());
    const json::Value context = json::Value::object(
        {{json::Value("Execution"), json::Value::object({{json::Value("Input"), row.get("input")}})}});
    const auto got = compiled->evaluate({row.find("input"), &context, nullptr, &random});
    tally.row(got && *got == row.get("output"),
              json::to_text(row.get("id")) + (got ? json::to_text(*got) : to_text(got.error())));
  }
}

}  // namespace
}  // namespace sortie
