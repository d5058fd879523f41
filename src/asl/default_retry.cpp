#include "asl/default_retry.h"

#include <algorithm>
#include <map>
#include <optional>

#include "asl/build.h"
#include "asl/source.h"
#include "base/text.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::asl {
namespace default_retry {

// The members that end a Task by custom; Retry stands before them.
constexpr std::string_view kAfterRetry[] = {"Catch", "Next", "End"};

bool wants_retry(const json::Value& state) {
  return state.get("Type") == json::Value("Task") && !state.has("Retry");
}

bool is_after_retry(std::string_view name) {
  return std::find(std::begin(kAfterRetry), std::end(kAfterRetry), name) != std::end(kAfterRetry);
}

json::Value flow_with(const json::Value& flow, const json::Value& retry, std::vector<std::string>& states);

// Recursion is as deep as the definition, which the caller has bounded.
json::Value state_with(const json::Member& member, const json::Value& retry,
                       std::vector<std::string>& states) {
  const json::Value& state = member.value;
  if (wants_retry(state)) {
    states.push_back(member.key.to_std_string());
    return json::ObjectBuilder(state).set("Retry", retry).build();
  }
  json::ObjectBuilder out(state);
  if (const json::Value* branches = state.find("Branches"); branches != nullptr && branches->is_array()) {
    std::vector<json::Value> flows;
    for (const json::Value& branch : branches->items()) flows.push_back(flow_with(branch, retry, states));
    out.set("Branches", json::Value::array(std::move(flows)));
  }
  for (const std::string_view name : {"ItemProcessor", "Iterator"}) {
    if (state.has(name)) out.set(name, flow_with(state.get(name), retry, states));
  }
  return state.is_object() ? out.build() : state;
}

json::Value flow_with(const json::Value& flow, const json::Value& retry, std::vector<std::string>& states) {
  const json::Value& all = flow.get("States");
  if (!all.is_object()) return flow;
  json::ObjectBuilder out;
  for (const json::Member& member : all.members()) {
    out.append(member.key.as_string(), state_with(member, retry, states));
  }
  return json::ObjectBuilder(flow).set("States", out.build()).build();
}

// Where a Retry goes: before the member name that begins at `offset`, in an object whose text begins at
// `owner`.
struct Gap {
  std::size_t offset = 0;
  std::size_t owner = 0;
};

// Walks over the text of a definition that is known to be valid JSON, without making values of it.
class JsonLayout {
 public:
  explicit JsonLayout(std::string_view text) : text_(text) {}

  std::vector<Gap> find_gaps() {
    visit_flow(skip_blanks(0));
    return std::move(gaps_);
  }

 private:
  std::size_t skip_blanks(std::size_t at) const {
    return std::min(text_.find_first_not_of(" \t\r\n", at), text_.size());
  }
  char at(std::size_t offset) const { return offset < text_.size() ? text_[offset] : '\0'; }

  std::size_t skip_string(std::size_t offset) const {
    for (++offset; offset < text_.size() && text_[offset] != '"'; ++offset) {
      if (text_[offset] == '\\') ++offset;
    }
    return std::min(offset + 1, text_.size());
  }

  std::size_t skip_value(std::size_t offset) const {
    int depth = 0;
    while (offset < text_.size()) {
      const char c = text_[offset];
      if (c == '"') {
        offset = skip_string(offset);
        if (depth == 0) return offset;
        continue;
      }
      if (depth == 0 && (c == ',' || c == '}' || c == ']')) return offset;
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth == 0) return offset + 1;
      ++offset;
    }
    return offset;
  }

  // take(where its name begins, the name as it is written, where its value begins)
  template <typename Take>
  void each_member(std::size_t object, const Take& take) const {
    if (at(object) != '{') return;
    for (std::size_t name = skip_blanks(object + 1); at(name) == '"';) {
      const std::size_t name_end = skip_string(name);
      const std::size_t value = skip_blanks(skip_blanks(name_end) + 1);
      take(name, text_.substr(name + 1, name_end - name - 2), value);
      const std::size_t next = skip_blanks(skip_value(value));
      if (at(next) != ',') return;
      name = skip_blanks(next + 1);
    }
  }

  void visit_flow(std::size_t flow) {
    each_member(flow, [&](std::size_t, std::string_view name, std::size_t states) {
      if (name != "States") return;
      each_member(states, [&](std::size_t, std::string_view, std::size_t state) { visit_state(state); });
    });
  }

  void visit_state(std::size_t state) {
    bool is_task = false, has_retry = false;
    std::optional<std::size_t> gap;
    each_member(state, [&](std::size_t name_at, std::string_view name, std::size_t value) {
      if (name == "Type") is_task = text_.substr(value, 6) == "\"Task\"";
      if (name == "Retry") has_retry = true;
      if (is_after_retry(name) && !gap) gap = name_at;
      if (name == "ItemProcessor" || name == "Iterator") visit_flow(value);
      if (name == "Branches" && at(value) == '[') {
        for (std::size_t branch = skip_blanks(value + 1); at(branch) == '{';) {
          visit_flow(branch);
          const std::size_t next = skip_blanks(skip_value(branch));
          if (at(next) != ',') break;
          branch = skip_blanks(next + 1);
        }
      }
    });
    if (is_task && !has_retry && gap) gaps_.push_back({*gap, state});
  }

  std::string_view text_;
  std::vector<Gap> gaps_;
};

// The same for YAML, by the places that its reader has noted. What an alias stands for has no place.
class YamlLayout {
 public:
  YamlLayout(std::string_view text, const std::map<std::string, json::Position>& places)
      : text_(text), places_(places) {
    for (std::size_t at = 0; at != std::string_view::npos;) {
      lines_.push_back(at);
      at = text_.find('\n', at);
      if (at != std::string_view::npos) ++at;
    }
  }

  std::vector<Gap> find_gaps(const json::Value& definition) {
    visit_flow(definition, "");
    return std::move(gaps_);
  }

 private:
  std::optional<std::size_t> offset_of(const std::string& pointer) const {
    const auto found = places_.find(pointer);
    if (found == places_.end()) return std::nullopt;
    const auto [line, column] = found->second;
    if (line < 1 || static_cast<std::size_t>(line) > lines_.size()) return std::nullopt;
    std::size_t offset = lines_[static_cast<std::size_t>(line - 1)];
    for (int i = 1; i < column && offset < text_.size(); ++i) {
      do ++offset;
      while (offset < text_.size() && (static_cast<unsigned char>(text_[offset]) & 0xC0) == 0x80);
    }
    return offset;
  }

  // Back from a value over "Name: ".
  std::optional<std::size_t> name_before(std::size_t value, std::string_view name) const {
    const auto back = [&](std::size_t at) {
      while (at > 0 && std::string_view(" \t\r\n").find(text_[at - 1]) != std::string_view::npos) --at;
      return at;
    };
    std::size_t at = back(value);
    if (at == 0 || text_[at - 1] != ':') return std::nullopt;
    at = back(at - 1);
    const bool is_quoted = at > 0 && (text_[at - 1] == '"' || text_[at - 1] == '\'');
    if (is_quoted) --at;
    if (at < name.size() || text_.substr(at - name.size(), name.size()) != name) return std::nullopt;
    at -= name.size();
    if (is_quoted) return at > 0 ? std::optional(at - 1) : std::nullopt;
    return at;
  }

  void visit_flow(const json::Value& flow, const std::string& pointer) {
    for (const json::Member& member : flow.get("States").members()) {
      visit_state(member.value, pointer + "/States/" + escape_pointer(member.key.as_string()));
    }
  }

  void visit_state(const json::Value& state, const std::string& pointer) {
    const json::Value& branches = state.get("Branches");
    for (std::size_t i = 0; i < branches.size(); ++i) {
      visit_flow(branches[i], pointer + "/Branches/" + std::to_string(i));
    }
    for (const char* name : {"ItemProcessor", "Iterator"}) visit_flow(state.get(name), pointer + "/" + name);
    const std::optional<std::size_t> owner = offset_of(pointer);
    if (!wants_retry(state) || !owner) return;
    std::optional<std::size_t> first;
    for (const std::string_view name : kAfterRetry) {
      const auto value = offset_of(pointer + "/" + std::string(name));
      const auto found = value ? name_before(*value, name) : std::nullopt;
      if (found && (!first || *found < *first)) first = found;
    }
    if (first) gaps_.push_back({*first, *owner});
  }

  std::string_view text_;
  const std::map<std::string, json::Position>& places_;
  std::vector<std::size_t> lines_;
  std::vector<Gap> gaps_;
};

std::string_view blanks_before(std::string_view text, std::size_t offset) {
  std::size_t start = offset;
  while (start > 0 && std::string_view(" \t\r\n").find(text[start - 1]) != std::string_view::npos) --start;
  return text.substr(start, offset - start);
}

std::string_view indentation_of_line(std::string_view text, std::size_t offset) {
  const std::size_t line = text.rfind('\n', offset) == std::string_view::npos || offset == 0
                               ? 0
                               : text.rfind('\n', offset - 1) + 1;
  const std::size_t end = text.find_first_not_of(" \t", line);
  return text.substr(line, std::min(end, offset) - line);
}

// "key": value for every member, the values on one line each.
std::string json_lines(const json::Value& retrier, const std::string& indent, std::string_view newline) {
  std::string out;
  for (const json::Member& member : retrier.members()) {
    out += (out.empty() ? "" : "," + std::string(newline)) + indent;
    json::append_quoted(out, member.key.as_string());
    out += ": ";
    if (!member.value.is_array()) {
      json::append_text(out, member.value);
      continue;
    }
    out += "[";
    for (const json::Value& item : member.value.items()) {
      if (out.back() != '[') out += ", ";
      json::append_text(out, item);
    }
    out += "]";
  }
  return out;
}

// What goes in front of the member name at a gap of JSON, or of YAML in JSON's style.
std::string json_piece(std::string_view text, const Gap& gap, const json::Value& retry) {
  const std::string_view blanks = blanks_before(text, gap.offset);
  const std::size_t line = blanks.rfind('\n');
  if (line == std::string_view::npos) {
    const bool is_tight = blanks.empty() && text.find(": ", gap.owner) >= gap.offset;
    return std::string(is_tight ? "\"Retry\":" : "\"Retry\": ") + json::to_text(retry) + "," +
           std::string(blanks);
  }
  const std::string newline = line > 0 && blanks[line - 1] == '\r' ? "\r\n" : "\n";
  const std::string indent(blanks.substr(line + 1));
  const std::string_view outer = indentation_of_line(text, gap.owner);
  const bool is_deeper = indent.size() > outer.size() && indent.starts_with(outer);
  const std::string unit = is_deeper ? indent.substr(outer.size()) : "  ";
  std::string out = "\"Retry\": [";
  for (const json::Value& retrier : retry.items()) {
    if (out.back() == '}') out += ",";
    out += newline + indent + unit + "{" + newline;
    out += json_lines(retrier, indent + unit + unit, newline) + newline + indent + unit + "}";
  }
  return out + newline + indent + "]," + newline + indent;
}

// Text that YAML reads as text without quotes: error names, "FULL".
bool is_plain_yaml(std::string_view text) {
  static constexpr std::string_view kOthers[] = {"true", "false", "null", "yes", "no", "on", "off"};
  const std::string lower = to_lower_ascii(text);
  const bool is_other = std::find(std::begin(kOthers), std::end(kOthers), lower) != std::end(kOthers);
  return !text.empty() && !is_other && lower[0] >= 'a' && lower[0] <= 'z' &&
         lower.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._") == std::string::npos;
}

void append_yaml(std::string& out, const json::Value& value) {
  if (value.is_array()) {
    out += "[";
    for (const json::Value& item : value.items()) {
      if (out.back() != '[') out += ", ";
      append_yaml(out, item);
    }
    out += "]";
  } else if (value.is_string() && is_plain_yaml(value.as_string())) {
    out += value.as_string();
  } else {
    json::append_text(out, value);
  }
}

// What goes in front of the line at a gap of YAML in block style.
std::string yaml_piece(const std::string& indent, const json::Value& retry, std::string_view newline) {
  std::string out = indent + "Retry:" + (retry.empty() ? " []" : "") + std::string(newline);
  for (const json::Value& retrier : retry.items()) {
    std::string_view mark = "  - ";
    for (const json::Member& member : retrier.members()) {
      out += indent;
      out += mark;
      out += member.key.as_string();
      out += ": ";
      append_yaml(out, member.value);
      out += newline;
      mark = "    ";
    }
  }
  return out;
}

// A comment right above a member belongs to it.
std::size_t above_comments(std::string_view text, std::size_t line, const std::string& indent) {
  while (line > 0) {
    const std::size_t before = line < 2 ? std::string_view::npos : text.rfind('\n', line - 2);
    const std::size_t start = before == std::string_view::npos ? 0 : before + 1;
    if (!text.substr(start).starts_with(indent + "#")) break;
    line = start;
  }
  return line;
}

std::string edited_json(std::string_view text, std::span<const Gap> gaps, const json::Value& retry) {
  std::string out;
  std::size_t done = 0;
  for (const Gap& gap : gaps) {
    out += text.substr(done, gap.offset - done);
    out += json_piece(text, gap, retry);
    done = gap.offset;
  }
  return out += text.substr(done);
}

std::string edited_yaml(std::string_view text, std::span<const Gap> gaps, const json::Value& retry) {
  const std::string_view newline = text.find("\r\n") == std::string_view::npos ? "\n" : "\r\n";
  std::string out;
  std::size_t done = 0;
  for (const Gap& gap : gaps) {
    // "{Type: Task, Next: B}" or "&a {...}": a mapping in JSON's style.
    std::size_t owner = gap.owner;
    if (text[owner] == '&')
      owner = std::min(text.find_first_not_of(" \t", text.find(' ', owner)), text.size() - 1);
    const bool is_flow = text[owner] == '{';
    const std::size_t line = gap.offset == 0 ? 0 : text.rfind('\n', gap.offset - 1) + 1;
    const std::string indent(text.substr(line, gap.offset - line));
    const bool is_own_line = indent.find_first_not_of(' ') == std::string::npos;
    if (!is_flow && !is_own_line) continue;
    const std::size_t at = is_flow ? gap.offset : above_comments(text, line, indent);
    if (at < done) continue;
    out += text.substr(done, at - done);
    out += is_flow ? json_piece(text, gap, retry) : yaml_piece(indent, retry, newline);
    done = at;
  }
  return out += text.substr(done);
}

}  // namespace default_retry

DefaultRetryText with_default_retry(std::string_view definition, const json::Value& retry) {
  using namespace default_retry;
  DefaultRetryText out{.text = std::string(definition), .states = {}};
  const DefinitionSource source(definition);
  const bool is_sound =
      retry.is_array() && source.value().is_object() && source.value().depth() <= kDefinitionDepthMax;
  if (!is_sound) return out;
  const json::Value wanted = flow_with(source.value(), retry, out.states);
  if (out.states.empty()) return out;
  std::vector<Gap> gaps = source.is_yaml() ? YamlLayout(definition, source.places()).find_gaps(source.value())
                                           : JsonLayout(definition).find_gaps();
  std::sort(gaps.begin(), gaps.end(), [](const Gap& a, const Gap& b) { return a.offset < b.offset; });
  out.text = source.is_yaml() ? edited_yaml(definition, gaps, retry) : edited_json(definition, gaps, retry);
  if (DefinitionSource(out.text).value() == wanted) return out;
  out.text = json::to_pretty_text(wanted) + "\n";
  out.is_reprinted = true;
  return out;
}

std::vector<Diagnostic> check_retry(const json::Value& retry) {
  const json::Value task =
      json::Value::object({{"Type", "Task"},
                           {"Resource", "arn:aws:lambda:us-east-1:123456789012:function:f"},
                           {"Retry", retry},
                           {"End", true}});
  const json::Value machine =
      json::Value::object({{"StartAt", "T"}, {"States", json::Value::object({{"T", task}})}});
  constexpr std::string_view kPlace = "/States/T/Retry";
  std::vector<Diagnostic> found = compile(json::to_text(machine)).diagnostics;
  for (Diagnostic& diagnostic : found) {
    diagnostic.pointer =
        diagnostic.pointer.starts_with(kPlace) ? diagnostic.pointer.substr(kPlace.size()) : "";
  }
  return found;
}

}  // namespace sortie::asl
