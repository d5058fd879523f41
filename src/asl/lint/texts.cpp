// A16, A17: text in templates that was meant to be a path or an expression, and a task token that nobody
// gets.
#include <algorithm>

#include "asl/lint/rules.h"
#include "base/text.h"

namespace sortie::asl::analysis {
namespace texts {

constexpr int kDepthMax = 20;

// Some calls take paths as text: InputPath of a target, InputPathsMap of a transformer.
bool takes_paths(std::string_view name) {
  const std::string lower = to_lower_ascii(name);
  return lower.find("path") != std::string::npos || lower.find("query") != std::string::npos;
}

bool looks_like_path(std::string_view text) {
  if (text.starts_with("$$.")) return true;
  if (text.starts_with("States.") && text.ends_with(")")) return text.find('(') != std::string_view::npos;
  return text.starts_with("$.") && text.size() > 2 && text.find(' ') == std::string_view::npos;
}

bool looks_like_expression(const json::Value& value) {
  if (is_jsonata_expression(value)) return false;
  const std::string_view text = value.as_string();
  const std::size_t open = text.find("{%");
  return text.starts_with("$states.") ||
         (open != std::string_view::npos && text.find("%}", open) != std::string_view::npos);
}

class TextCheck {
 public:
  TextCheck(const SurveyedState& in, std::size_t number, Notebook& notebook)
      : in_(in), number_(number), notebook_(notebook) {}

  void visit(const json::Value& value, const std::string& pointer, int depth) {
    if (depth > kDepthMax) return;
    if (value.is_string() && in_.is_jsonata() && looks_like_expression(value)) note(value, pointer);
    for (std::size_t i = 0; i < value.items().size(); ++i) {
      visit(value.items()[i], pointer + "/" + std::to_string(i), depth + 1);
    }
    for (const json::Member& member : value.members()) {
      const std::string_view name = member.key.as_string();
      const std::string place = pointer + "/" + escape_pointer(name);
      if (in_.is_jsonata() || !takes_paths(name)) visit(member.value, place, depth + 1);
      if (in_.is_jsonata() || name.ends_with(".$") || takes_paths(name) || !member.value.is_string())
        continue;
      if (looks_like_path(member.value.as_string())) note(member.value, place);
    }
  }

 private:
  void note(const json::Value& value, const std::string& pointer) {
    notebook_.note("A16", number_, std::string(truncate_utf8(value.as_string(), 80)), pointer);
  }

  const SurveyedState& in_;
  std::size_t number_;
  Notebook& notebook_;
};

// The token is in the context object; whoever gets the whole of it has it, too.
bool mentions_token(const json::Value& value, bool is_jsonata, int depth) {
  if (depth > kDepthMax) return true;
  if (value.is_string()) {
    const std::string_view text = value.as_string();
    return text.find(is_jsonata ? "$states" : "$$") != std::string_view::npos;
  }
  const auto mentions = [&](const json::Value& inner) {
    return mentions_token(inner, is_jsonata, depth + 1);
  };
  const auto items = value.items();
  const auto members = value.members();
  return std::any_of(items.begin(), items.end(), mentions) ||
         std::any_of(members.begin(), members.end(),
                     [&](const json::Member& member) { return mentions(member.value); });
}

}  // namespace texts

void check_texts(const SurveyedState& in, std::size_t number, Notebook& notebook) {
  texts::TextCheck check(in, number, notebook);
  for (const char* field :
       {"Parameters", "ItemSelector", "ResultSelector", "Arguments", "Output", "Assign"}) {
    if (in.definition.has(field)) check.visit(in.definition.get(field), in.at(field), 0);
  }
  const auto* task = std::get_if<Task>(&in.state->body);
  if (task == nullptr || task->resource.pattern != TaskPattern::kWaitForTaskToken) return;
  if (!texts::mentions_token(in.parameters(), in.is_jsonata(), 0)) {
    notebook.note("A17", number, "",
                  in.definition.has(in.parameters_name()) ? in.at(in.parameters_name()) : "");
  }
}

}  // namespace sortie::asl::analysis
