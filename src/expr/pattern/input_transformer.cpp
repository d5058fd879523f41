#include "expr/pattern/input_transformer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "json/text.h"

namespace sortie::pattern {

namespace transformer_detail {

constexpr std::string_view kValidation = "ValidationException";
constexpr std::string_view kPredefined[] = {"aws.events.rule-arn", "aws.events.rule-name",
                                            "aws.events.event.ingestion-time", "aws.events.event",
                                            "aws.events.event.json"};

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

Error invalid(std::string message) { return Error{std::string(kValidation), std::move(message)}; }

// JSON text without any double quote, as EventBridge puts objects and arrays into quoted templates.
std::string without_quotes(const json::Value& value) {
  const std::string text = json::to_text(value);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') continue;
    if (text[i] == '\\' && i + 1 < text.size()) {
      if (text[i + 1] != '"') out.append(text, i, 2);
      ++i;
      continue;
    }
    out += text[i];
  }
  return out;
}

// A scalar's characters as they stand between double quotes.
std::string inside_quotes(const json::Value& value) {
  if (!value.is_string()) return json::to_text(value);
  std::string quoted;
  json::append_quoted(quoted, value.as_string());
  return quoted.substr(1, quoted.size() - 2);
}

json::Value event_without_detail(const json::Value& envelope) {
  json::ObjectBuilder out;
  for (const json::Member& member : envelope.members()) {
    const std::string_view key = member.key.as_string();
    if (key == "detail") continue;
    out.append(key == "detail-type" ? "detailType" : key, member.value);
  }
  return out.build();
}

}  // namespace transformer_detail

using namespace transformer_detail;

Result<InputPath> InputPath::compile(std::string_view text) {
  const Error bad = invalid("JSONPath is not valid: " + std::string(truncate_utf8(text, 200)));
  InputPath path;
  if (text.empty() || text[0] != '$') return bad;
  for (std::size_t i = 1; i < text.size();) {
    if (path.steps_.size() >= kInputPathStepsMax) return bad;
    Step step;
    if (text[i] == '.') {
      const std::size_t end = std::min(text.find_first_of(".[", i + 1), text.size());
      step.name = std::string(text.substr(i + 1, end - i - 1));
      if (step.name.empty() || step.name.find_first_of("]()?@,'\" \t\r\n") != std::string::npos) return bad;
      if (step.name == "*") step.kind = Step::Kind::kAll;
      i = end;
    } else if (text[i] == '[') {
      const std::size_t end = text.find(']', i);
      if (end == std::string_view::npos || end == i + 1) return bad;
      const std::string_view inner = text.substr(i + 1, end - i - 1);
      step.kind = inner == "*" ? Step::Kind::kAll : Step::Kind::kIndex;
      if (step.kind == Step::Kind::kIndex) {
        const auto [stop, error] = std::from_chars(inner.data(), inner.data() + inner.size(), step.index);
        if (error != std::errc() || stop != inner.data() + inner.size()) return bad;
      }
      i = end + 1;
    } else {
      return bad;
    }
    path.many_ = path.many_ || step.kind == Step::Kind::kAll;
    path.steps_.push_back(std::move(step));
  }
  return path;
}

std::optional<json::Value> InputPath::find(const json::Value& envelope) const {
  std::vector<json::Value> values{envelope};
  for (const Step& step : steps_) {
    std::vector<json::Value> next;
    for (const json::Value& value : values) {
      if (step.kind == Step::Kind::kName) {
        if (const json::Value* member = value.find(step.name)) next.push_back(*member);
      } else if (step.kind == Step::Kind::kIndex) {
        if (step.index < value.size() && value.is_array()) next.push_back(value[step.index]);
      } else {
        for (const json::Value& item : value.items()) next.push_back(item);
        for (const json::Member& member : value.members()) next.push_back(member.value);
      }
    }
    values = std::move(next);
  }
  if (values.empty()) return std::nullopt;
  if (many_) return json::Value::array(std::move(values));
  return values.front();
}

Result<InputTransformer> InputTransformer::compile(const Paths& paths, std::string_view template_text,
                                                   std::string_view target_id) {
  const std::string target(target_id);
  InputTransformer transformer;
  if (paths.size() > kInputPathsMax) {
    return invalid("InputPathsMap for target " + target + " contains more than 100 entries.");
  }
  for (const auto& [name, text] : paths) {
    const bool valid =
        !name.empty() && !name.starts_with("AWS.") &&
        std::all_of(name.begin(), name.end(), [](char c) { return is_name_byte(c) && c != '.'; });
    if (!valid) return invalid("InputPathsMap for target " + target + " contains invalid key " + name + ".");
    auto path = InputPath::compile(text);
    if (!path) {
      return invalid("InputPathsMap for target " + target + " contains invalid path for key " + name + ".");
    }
    transformer.paths_.emplace_back(name, std::move(path).value());
  }
  if (template_text.empty() || template_text.size() > kInputTemplateBytesMax) {
    return invalid("InputTemplate for target " + target + " must have a length from 1 to 8192.");
  }
  const std::string_view shape = trim(template_text);
  transformer.json_ = shape.starts_with('{') || shape.starts_with('[');
  bool quoted = false;
  std::string literal;
  for (std::size_t i = 0; i < template_text.size(); ++i) {
    const char c = template_text[i];
    std::size_t end = i + 1;
    while (c == '<' && end < template_text.size() && is_name_byte(template_text[end])) ++end;
    if (c == '<' && end > i + 1 && end < template_text.size() && template_text[end] == '>') {
      const std::string name(template_text.substr(i + 1, end - i - 1));
      const bool known =
          std::find(std::begin(kPredefined), std::end(kPredefined), name) != std::end(kPredefined) ||
          std::any_of(paths.begin(), paths.end(), [&name](const auto& path) { return path.first == name; });
      if (!known) {
        return invalid("InputTemplate for target " + target + " contains invalid placeholder " + name + ".");
      }
      transformer.pieces_.push_back(Piece{std::exchange(literal, std::string()), false, false});
      transformer.pieces_.push_back(Piece{name, true, quoted});
      i = end;
      continue;
    }
    literal += c;
    if (c == '\\' && quoted && i + 1 < template_text.size()) {
      literal += template_text[++i];
    } else if (c == '"') {
      quoted = !quoted;
    }
  }
  transformer.pieces_.push_back(Piece{std::move(literal), false, false});
  return transformer;
}

json::Value InputTransformer::value_of(const std::string& name, const json::Value& envelope,
                                       const RuleContext& context, bool& found) const {
  found = true;
  for (const auto& [key, path] : paths_) {
    if (key != name) continue;
    const std::optional<json::Value> value = path.find(envelope);
    found = value.has_value();
    return value.value_or(json::Value(""));
  }
  if (name == kPredefined[0]) return json::Value(context.rule_arn);
  if (name == kPredefined[1]) return json::Value(context.rule_name);
  if (name == kPredefined[2]) return json::Value(context.ingestion_time);
  if (name == kPredefined[3]) return event_without_detail(envelope);
  return envelope;
}

std::optional<std::string> InputTransformer::render(const json::Value& envelope,
                                                    const RuleContext& context) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    if (!piece.placeholder) {
      out += piece.text;
      continue;
    }
    bool found = false;
    const json::Value value = value_of(piece.text, envelope, context, found);
    if (!piece.quoted) {
      json::append_text(out, value);  // What is not found is the empty string, in quotes.
    } else if (!value.is_object() && !value.is_array()) {
      out += inside_quotes(value);
    } else {
      out += json_ ? json::to_text(value) : without_quotes(value);
    }
  }
  if (json_ && !json::parse(out)) return std::nullopt;
  return out;
}

}  // namespace sortie::pattern
