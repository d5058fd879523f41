#pragma once
// Random state machines from a grammar: every state type in both query languages, nested Parallel and Map,
// errors, retries, catches, variables. Data is always an object with a number "n" and a list "list", so that
// what a state reads is there; whatever else is made comes beside them.
#include <string>
#include <vector>

#include "base/clock.h"
#include "json/value.h"

namespace sortie::reference {

class RandomMachine {
 public:
  explicit RandomMachine(Random& random) : random_(random) {}

  json::Value make() { return flow(0); }

 private:
  using Value = json::Value;

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_.next() % bound); }
  bool one_in(std::size_t n) { return below(n) == 0; }

  // States lead forward only, each is reached by the one before it.
  Value flow(int depth) {
    const std::size_t count = 1 + below(depth == 0 ? 5 : 3);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("S" + std::to_string(++last_name_));
    json::ObjectBuilder states;
    for (std::size_t i = 0; i < count; ++i) {
      const std::vector<std::string> ahead(names.begin() + static_cast<std::ptrdiff_t>(i) + 1, names.end());
      states.append(names[i], state(ahead, depth));
    }
    return Value::object({{"StartAt", names.front()}, {"States", states.build()}});
  }

  Value state(const std::vector<std::string>& ahead, int depth) {
    json::ObjectBuilder out;
    const bool jsonata = one_in(2);
    if (jsonata) out.append("QueryLanguage", "JSONata");
    if (ahead.empty() && one_in(4)) {
      return one_in(2) ? fail() : Value::object({{"Type", "Succeed"}});
    }
    if (!ahead.empty() && one_in(5)) return choice(jsonata, ahead, std::move(out));
    const std::size_t kind = below(depth < 2 ? 8 : 6);
    if (kind < 2) pass(jsonata, out);
    if (kind == 2) out.append("Type", "Wait").append("Seconds", static_cast<std::int64_t>(below(4)));
    if (kind >= 3 && kind < 6) task(jsonata, ahead, out);
    if (kind == 6) parallel(jsonata, ahead, depth, out);
    if (kind == 7) map(jsonata, ahead, depth, out);
    if (kind != 2 && one_in(3)) assign(jsonata, out);
    if (ahead.empty()) {
      out.append("End", true);
    } else {
      out.append("Next", ahead.front());
    }
    return out.build();
  }

  static Value fail() { return Value::object({{"Type", "Fail"}, {"Error", "EFail"}, {"Cause", "meant"}}); }

  Value choice(bool jsonata, const std::vector<std::string>& ahead, json::ObjectBuilder out) {
    json::ObjectBuilder rule;
    const std::string limit = std::to_string(below(6));
    if (jsonata) {
      rule.append("Condition", "{% $states.input.n < " + limit + " %}");
    } else {
      rule.append("Variable", "$.n").append("NumericLessThan", static_cast<std::int64_t>(limit[0] - '0'));
    }
    rule.append("Next", ahead[below(ahead.size())]);
    out.append("Type", "Choice").append("Choices", Value::array({rule.build()}));
    return out.append("Default", ahead.front()).build();
  }

  void pass(bool jsonata, json::ObjectBuilder& out) {
    out.append("Type", "Pass");
    if (!jsonata) {
      if (one_in(2)) {
        out.append("Parameters", Value::object({{"x.$", "$.n"}, {"k", 1}})).append("ResultPath", "$.made");
      }
      return;
    }
    json::ObjectBuilder made;
    made.append("n", one_in(3) ? Value("{% $exists($v) ? $v : 0 %}")
                               : Value("{% $states.input.n + " + std::to_string(below(3)) + " %}"));
    made.append("list", "{% $states.input.list %}");
    if (one_in(12)) made.append("bad", "{% $missing %}");
    out.append("Output", made.build());
  }

  void output(bool jsonata, std::string_view key, json::ObjectBuilder& out) {
    if (!jsonata) {
      out.append("ResultPath", "$." + std::string(key));
      return;
    }
    json::ObjectBuilder made;
    made.append("n", "{% $states.input.n %}").append("list", "{% $states.input.list %}");
    made.append(key, "{% $states.result %}");
    out.append("Output", made.build());
  }

  void handlers(bool jsonata, const std::vector<std::string>& ahead, bool is_task, json::ObjectBuilder& out) {
    const char* kNames[] = {"E0", "States.ALL", is_task ? "States.TaskFailed" : "EFail"};
    if (one_in(2)) {
      out.append("Retry",
                 Value::array({Value::object({{"ErrorEquals", Value::array({kNames[below(3)]})},
                                              {"IntervalSeconds", 1},
                                              {"MaxAttempts", static_cast<std::int64_t>(below(3))}})}));
    }
    if (ahead.empty() || !one_in(2)) return;
    json::ObjectBuilder catcher;
    catcher.append("ErrorEquals", Value::array({kNames[below(3)]}))
        .append("Next", ahead[below(ahead.size())]);
    if (jsonata) {
      catcher.append("Output", Value::object({{"n", "{% $states.input.n %}"},
                                              {"list", "{% $states.input.list %}"},
                                              {"error", "{% $states.errorOutput.Error %}"}}));
    } else {
      catcher.append("ResultPath", "$.error");
    }
    out.append("Catch", Value::array({catcher.build()}));
  }

  void task(bool jsonata, const std::vector<std::string>& ahead, json::ObjectBuilder& out) {
    out.append("Type", "Task").append("Resource", "arn:aws:lambda:us-east-1:123456789012:function:f");
    if (jsonata) {
      out.append("Arguments", Value::object({{"n", "{% $states.input.n %}"}, {"k", "literal"}}));
    } else {
      out.append("Parameters", Value::object({{"n.$", "$.n"}, {"k", "literal"}}));
    }
    output(jsonata, "task", out);
    handlers(jsonata, ahead, true, out);
  }

  void parallel(bool jsonata, const std::vector<std::string>& ahead, int depth, json::ObjectBuilder& out) {
    out.append("Type", "Parallel");
    std::vector<Value> branches;
    for (std::size_t i = 0; i <= below(3); ++i) branches.push_back(flow(depth + 1));
    out.append("Branches", Value::array(std::move(branches)));
    output(jsonata, "parallel", out);
    handlers(jsonata, ahead, false, out);
  }

  void map(bool jsonata, const std::vector<std::string>& ahead, int depth, json::ObjectBuilder& out) {
    out.append("Type", "Map").append("ItemProcessor", flow(depth + 1));
    if (one_in(2)) out.append("MaxConcurrency", 1);
    if (jsonata) {
      out.append("Items", "{% $states.input.list %}");
      out.append("ItemSelector", Value::object({{"n", "{% $states.context.Map.Item.Value %}"},
                                                {"list", "{% $states.input.list %}"}}));
    } else {
      out.append("ItemsPath", "$.list");
      out.append("ItemSelector", Value::object({{"n.$", "$$.Map.Item.Value"}, {"list.$", "$.list"}}));
    }
    output(jsonata, "map", out);
    handlers(jsonata, ahead, false, out);
  }

  void assign(bool jsonata, json::ObjectBuilder& out) {
    out.append("Assign", jsonata ? Value::object({{"v", "{% $states.input.n %}"}})
                                 : Value::object({{"v", static_cast<std::int64_t>(below(9))}}));
  }

  Random& random_;
  int last_name_ = 0;
};

}  // namespace sortie::reference
