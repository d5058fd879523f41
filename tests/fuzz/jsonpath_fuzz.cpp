// Fuzzes: intrinsic
// The expression compilers and evaluators of JSONPath states: full paths, reference paths, intrinsic
// calls and payload templates. The first line of the data is the expression, the rest the JSON input.
//
// Beside not crashing, what must hold: a definite path that find() follows gives what evaluate() gives; a
// value stored at a reference path is found there again.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/hash.h"
#include "expr/intrinsic/intrinsic.h"
#include "expr/intrinsic/payload_template.h"
#include "expr/jsonpath/jsonpath.h"
#include "expr/jsonpath/reference_path.h"
#include "json/text.h"

namespace {

using namespace sortie;

constexpr std::string_view kDocument =
    R"({"a":[{"a":1,"b":"x"},{"a":[1,2,[3]],"b":null},5,"s"],"b":{"a":{"b":true}},"c":1.5,"":0})";

void check_path(std::string_view text, const json::Value& document) {
  const auto path = jsonpath::Path::compile(text);
  if (!path) return;
  const auto value = path->evaluate(document);
  if (const json::Value* found = path->find(document)) SORTIE_CHECK(value.ok() && *value == *found);
}

void check_reference(std::string_view text, const json::Value& document) {
  const auto path = jsonpath::Path::compile_reference(text);
  if (!path) return;
  const json::Value stored(42);
  const auto result = jsonpath::set_at(document, *path, stored);
  if (!result) return;
  const json::Value* found = path->find(*result);
  SORTIE_CHECK(found != nullptr && *found == stored);
}

void check_expression(std::string_view text, const json::Value& document) {
  SeededRandom random(1);
  const std::function<const json::Value*(std::string_view)> variables = [&](std::string_view name) {
    return name == "v" ? &document : nullptr;
  };
  const intrinsic::Scope scope{&document, &document, &variables, &random};
  if (const auto expression = intrinsic::Expression::compile(text))
    static_cast<void>(expression->evaluate(scope));
  const json::Value tree = json::Value::object({{json::Value("k.$"), json::Value(text)}});
  if (const auto made = intrinsic::PayloadTemplate::compile(tree)) static_cast<void>(made->evaluate(scope));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::size_t line = all.find('\n');
  const std::string_view text = all.substr(0, line);
  const auto parsed = json::parse(line == std::string_view::npos ? kDocument : all.substr(line + 1));
  const json::Value document = parsed ? *parsed : *json::parse(kDocument);
  check_path(text, document);
  check_reference(text, document);
  check_expression(text, document);
  if (parsed) {
    if (const auto made = intrinsic::PayloadTemplate::compile(document)) {
      static_cast<void>(made->evaluate({.input = &document}));
    }
  }
  return 0;
}
