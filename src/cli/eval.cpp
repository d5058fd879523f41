// sortie eval: one expression for people, or JSON Lines in and out for programs.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>

#include "cli/commands.h"
#include "cli/eval_report.h"
#include "cli/exit_code.h"
#include "expr/intrinsic/intrinsic.h"
#include "expr/jsonata/jsonata.h"
#include "expr/jsonpath/jsonpath.h"
#include "expr/pattern/pattern.h"
#include "io/event_loop.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

constexpr std::int64_t kEvalMsMax = 20'000;

struct EvalQuestion {
  std::string expression;
  std::string input_text;
  bool has_input = false;
  json::Value bindings, context, limits;
  bool standard = false;
  bool keep_halves = false;  // Of surrogate pairs: JSON Lines are written with escapes.
};

// An answer without its id: {"result": ..} or {"match": ..}.
using EvalAnswer = Result<json::Value>;

// An error in the input has its place in the input, which must not be taken for one in the expression.
Error about_input(Error error) {
  error.message = "the input: " + error.message;
  if (!error.place.empty()) error.place = "input, " + error.place;
  error.hint = "the input has to be one JSON value";
  return error;
}

Result<json::Value> parse_input(const EvalQuestion& q, std::string_view otherwise) {
  auto value = json::parse(q.has_input ? std::string_view(q.input_text) : otherwise);
  if (!value) return about_input(value.error());
  return value;
}

EvalAnswer eval_jsonpath(const EvalQuestion& q) {
  SORTIE_TRY(const jsonpath::Path path, jsonpath::Path::compile(q.expression));
  SORTIE_TRY(const json::Value input, parse_input(q, "null"));
  SORTIE_TRY(json::Value result, path.evaluate(input));
  return json::Value::object({{"result", std::move(result)}});
}

EvalAnswer eval_intrinsic(const EvalQuestion& q) {
  SORTIE_TRY(const intrinsic::Expression expression, intrinsic::Expression::compile(q.expression));
  SORTIE_TRY(const json::Value input, parse_input(q, "{}"));
  io::SystemRandom random;
  const std::function<const json::Value*(std::string_view)> variable = [&q](std::string_view name) {
    return q.bindings.find(name);
  };
  SORTIE_TRY(json::Value result, expression.evaluate({&input, &q.context, &variable, &random}));
  return json::Value::object({{"result", std::move(result)}});
}

EvalAnswer eval_pattern(const EvalQuestion& q) {
  const auto mode = q.standard ? pattern::Mode::kStandard : pattern::Mode::kAws;
  SORTIE_TRY(const pattern::Pattern pattern, pattern::Pattern::compile(q.expression, mode));
  const Result<bool> match = pattern.matches(q.input_text);
  if (!match) return about_input(match.error());
  return json::Value::object({{"match", *match}});
}

std::int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

EvalAnswer eval_jsonata(const EvalQuestion& q) {
  const auto mode = q.standard ? jsonata::Mode::kStandard : jsonata::Mode::kAws;
  SORTIE_TRY(const jsonata::Program program, jsonata::Program::compile(q.expression, mode));
  jsonata::Inputs inputs;
  json::Value document;
  if (q.has_input) {
    SORTIE_TRY(document, parse_input(q, ""));
    inputs.input = &document;
  }
  for (const json::Member& binding : q.bindings.members()) {
    inputs.bindings.emplace_back(binding.key.as_string(), &binding.value);
  }
  io::SystemRandom random;
  static io::EventLoop clock;  // Only its clock is used.
  inputs.now = clock.now();
  inputs.random = &random;
  inputs.keep_halves = q.keep_halves;
  inputs.limits.elapsed_ms = steady_ms;
  inputs.limits.time_ms_max = kEvalMsMax;
  if (q.limits.get("time_ms").is_integer()) inputs.limits.time_ms_max = q.limits.get("time_ms").as_integer();
  if (q.limits.get("depth").is_integer()) {
    inputs.limits.depth_max =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(q.limits.get("depth").as_integer(), 1, 100'000));
  }
  SORTIE_TRY(jsonata::Outcome outcome, program.evaluate(inputs));
  switch (outcome.kind) {
    case jsonata::Outcome::Kind::kValue:
      return json::Value::object({{"result", std::move(outcome.value)}});
    case jsonata::Outcome::Kind::kUndefined:
      return json::Value::object({{"undefined", true}});
    case jsonata::Outcome::Kind::kFunction:
      return json::Value::object({{"function", true}});
    case jsonata::Outcome::Kind::kNonFinite:
      return json::Value::object({{"nonfinite", true}});
  }
  return Error{"Unknown", "the outcome is of no known kind", "", ""};
}

// JSON text must not hold halves of surrogate pairs, but an expression in it may: "\\ud800" becomes the
// escape of JSONata's own string literals, which means the same.
std::string with_own_escapes(const std::string& line) {
  std::string out;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool half = line.compare(i, 3, "\\ud") == 0 && i + 6 <= line.size();
    const bool pair = half && line.compare(i + 6, 3, "\\ud") == 0;
    if (half && !pair) out += '\\';
    const std::size_t taken = pair ? 12 : half ? 6 : 1;
    out += line.substr(i, taken);
    i += taken - 1;
  }
  return out;
}

using Evaluate = EvalAnswer (*)(const EvalQuestion&);

Evaluate evaluator_of(const std::string& language) {
  if (language == "jsonpath") return eval_jsonpath;
  if (language == "intrinsic") return eval_intrinsic;
  if (language == "pattern") return eval_pattern;
  if (language == "jsonata") return eval_jsonata;
  return nullptr;
}

std::optional<std::size_t> offset_of(const Error& error) {
  if (!error.place.starts_with("offset ")) return std::nullopt;
  return std::strtoull(error.place.c_str() + 7, nullptr, 10);
}

json::Value error_json(const Error& error) {
  json::ObjectBuilder out;
  out.append("code", error.code);
  out.append("message", error.message);
  if (const auto offset = offset_of(error)) out.append("position", static_cast<std::int64_t>(*offset));
  return out.build();
}

Result<EvalQuestion> read_question(const json::Value& line) {
  const auto text = [&line](std::string_view name) {
    const json::Value& value = line.get(name);
    return value.is_string() ? value.to_std_string() : std::string();
  };
  if (!line.is_object() || !line.get("expression").is_string()) {
    return Error{"BadRequest", "a line has to be an object with the member 'expression'", "", ""};
  }
  EvalQuestion q;
  q.expression = text("expression");
  q.bindings = line.get("bindings");
  q.context = line.get("context");
  q.limits = line.get("limits");
  q.standard = text("mode") == "standard";
  q.keep_halves = true;
  if (line.has("input_text")) {
    q.input_text = text("input_text");
    q.has_input = true;
  } else if (line.has("input")) {
    q.input_text = json::to_text(line.get("input"));
    q.has_input = true;
  }
  return q;
}

int eval_lines(Evaluate evaluate) {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    Result<json::Value> parsed = json::parse(line);
    if (!parsed && evaluate == eval_jsonata) parsed = json::parse(with_own_escapes(line));
    json::ObjectBuilder out;
    if (parsed && parsed->has("id")) out.append("id", parsed->get("id"));
    const Result<EvalQuestion> question =
        parsed ? read_question(*parsed) : Result<EvalQuestion>(parsed.error());
    const EvalAnswer answer = question ? evaluate(*question) : EvalAnswer(question.error());
    if (!answer) {
      out.append("error", error_json(answer.error()));
    } else {
      for (const json::Member& member : answer->members()) out.append(member.key.as_string(), member.value);
    }
    print_line(jsonata::to_text_with_halves(out.build()));
    if (std::fflush(stdout) != 0) return kFailed;  // Nobody reads on; command_line.cpp says so.
  }
  return kOk;
}

}  // namespace

int eval(const Eval& what) {
  const Evaluate evaluate = evaluator_of(what.language);
  if (evaluate == nullptr) {
    return report({"Usage", "unknown language '" + what.language + "'", "",
                   "known: jsonpath, intrinsic, jsonata, pattern"});
  }
  if (what.expression.empty()) return eval_lines(evaluate);
  EvalQuestion question;
  question.expression = what.expression;
  question.standard = what.mode == "standard";
  if (!what.input_file.empty()) {
    const Result<std::string> text = read_input(what.input_file);
    if (!text) return report(text.error());
    question.input_text = *text;
    question.has_input = true;
  }
  const EvalAnswer answer = evaluate(question);
  if (!answer) {
    const std::string text = describe_failure(what.language, what.expression, answer.error());
    std::fputs(text.c_str(), stderr);
    return exit_code_of(answer.error());
  }
  if (answer->has("undefined")) {
    std::fprintf(stderr, "nothing: the expression selects no value\n");
    return kOk;
  }
  if (!answer->has("match") && !answer->has("result")) {
    return report(
        {"NotJson", "the result is a function or no finite number, which JSON cannot hold", "", ""});
  }
  print_line(json::to_pretty_text(answer->has("match") ? answer->get("match") : answer->get("result")));
  return kOk;
}

}  // namespace sortie::cli
