#include "asl/lint/reader.h"

#include <algorithm>
#include <cctype>

#include "asl/jsonata_names.h"
#include "base/text.h"

namespace sortie::asl::analysis {
namespace {

constexpr int kReplacedChainMax = 8;

constexpr std::string_view kScalarFunctions[] = {
    "States.Format",     "States.JsonToString", "States.Base64Encode", "States.Base64Decode",  "States.Hash",
    "States.MathRandom", "States.MathAdd",      "States.ArrayLength",  "States.ArrayContains", "States.UUID",
};
constexpr std::string_view kArrayFunctions[] = {
    "States.Array(", "States.ArrayPartition", "States.ArrayRange", "States.ArrayUnique", "States.StringSplit",
};

// Whether the path was known in one of the values that this one has taken the place of.
bool was_known_before(const ShapePtr& root, Steps steps) {
  ShapePtr before = root->replaced;
  for (int i = 0; before && i < kReplacedChainMax; ++i) {
    const Found found = resolve(before, steps);
    if (found.is_certain && found.miss == Miss::kNone && !steps.empty()) return true;
    before = before->replaced;
  }
  return false;
}

// The part of an indefinite path that still names one place: "$.items" of "$.items[*].id".
std::string_view definite_part(std::string_view path) {
  std::size_t end = path.size();
  for (const std::string_view mark : {"..", "[*", ".*", "[?", "[:", "[-", "[("}) {
    end = std::min(end, path.find(mark));
  }
  std::size_t colon = path.find(':');
  if (colon < end) end = std::min(end, path.rfind('[', colon));
  return path.substr(0, end);
}

}  // namespace

bool same_frame(const Frame& a, const Frame& b) {
  if (a.is_approved != b.is_approved || a.facts != b.facts || !same_shape(a.value, b.value) ||
      a.variables.size() != b.variables.size()) {
    return false;
  }
  for (auto left = a.variables.begin(), right = b.variables.begin(); left != a.variables.end();
       ++left, ++right) {
    if (left->first != right->first || !same_shape(left->second, right->second)) return false;
  }
  return true;
}

std::vector<std::string> paths_in(std::string_view expression) {
  if (expression.starts_with('$')) return {std::string(expression)};
  std::vector<std::string> paths;
  std::size_t i = 0;
  while (i < expression.size()) {
    if (expression[i] == '\'') {  // A string; a backslash takes the next character with it.
      for (++i; i < expression.size() && expression[i] != '\''; ++i) {
        if (expression[i] == '\\') ++i;
      }
      ++i;
      continue;
    }
    if (expression[i] != '$') {
      ++i;
      continue;
    }
    const std::size_t start = i;
    int depth = 0;
    while (i < expression.size()) {
      const char c = expression[i];
      if (c == '[' || c == '(') ++depth;
      if (c == ']') --depth;
      if (c == ')' && depth-- == 0) break;
      if ((c == ',' || c == ' ') && depth == 0) break;
      ++i;
    }
    paths.emplace_back(expression.substr(start, i - start));
  }
  return paths;
}

ShapePtr Reader::read_steps(const ShapePtr& root, Steps steps, std::string_view text,
                            const std::string& pointer, std::size_t state) {
  Found found = resolve(root, steps);
  const std::string path(truncate_utf8(text, 200));
  if (found.miss == Miss::kNone) {
    if (!found.is_certain && root->replaced && !steps.empty()) {
      notebook_.note("A09", state, path, pointer, root->maker, was_known_before(root, steps));
    }
    return found.shape;
  }
  const bool is_gathered = found.miss == Miss::kArray && found.maker != kNobody &&
                           (survey_.states[found.maker].state->type == StateType::kParallel ||
                            survey_.states[found.maker].state->type == StateType::kMap);
  if (is_gathered) {
    notebook_.note("A01", state, path, pointer, found.maker);
  } else if (root->replaced && root->maker != kNobody && found.maker == root->maker) {
    notebook_.note("A09", state, path, pointer, root->maker);
  } else {
    notebook_.note("A12", state, path, pointer);
  }
  return found.shape;
}

ShapePtr Reader::read_variable(std::string_view name, const std::string& pointer, std::size_t state,
                               const Frame& frame) {
  const auto variable = frame.variables.find(name);
  if (variable != frame.variables.end()) return variable->second;
  if (!frame.has_more_variables) notebook_.note("A12", state, "the variable $" + std::string(name), pointer);
  return nullptr;
}

ShapePtr Reader::read_path(std::string_view text, const std::string& pointer, std::size_t state,
                           const Frame& frame, ShapePtr& root) {
  if (text.starts_with("$$")) return unknown_shape();
  const std::string_view definite = definite_part(text);
  const bool is_whole = definite.size() == text.size();
  const bool is_variable = definite.size() > 1 && definite[1] != '.' && definite[1] != '[';
  const std::size_t name_end = is_variable ? std::min(definite.find_first_of(".[", 1), definite.size()) : 1;
  Result<jsonpath::Path> path = jsonpath::Path::compile("$" + std::string(definite.substr(name_end)));
  if (!path.ok() || !path->is_reference()) return unknown_shape(root->all_sources);
  ShapePtr found;
  if (is_variable) {
    const ShapePtr variable = read_variable(definite.substr(1, name_end - 1), pointer, state, frame);
    if (!variable) return unknown_shape();
    found = read_steps(variable, path->reference_steps(), text, pointer, state);
  } else {
    found = read_steps(root, path->reference_steps(), text, pointer, state);
    if (is_whole) root = refine(root, path->reference_steps());
  }
  return is_whole ? found : array_of(unknown_shape(found->all_sources), found->all_sources);
}

ShapePtr Reader::read(std::string_view text, const std::string& pointer, std::size_t state,
                      const Frame& frame, ShapePtr& root) {
  if (text.starts_with('$')) return read_path(text, pointer, state, frame, root);
  std::uint64_t sources = 0;
  for (const std::string& path : paths_in(text)) {
    sources |= read_path(path, pointer, state, frame, root)->all_sources;
  }
  for (const std::string_view name : kScalarFunctions) {
    if (text.starts_with(name)) return scalar_shape(sources);
  }
  for (const std::string_view name : kArrayFunctions) {
    if (text.starts_with(name)) return array_of(unknown_shape(sources), sources);
  }
  return unknown_shape(sources);
}

std::string_view query_text(std::string_view braced) { return trim(braced.substr(2, braced.size() - 4)); }

bool is_plain_query_path(std::string_view expression) {
  if (expression.size() < 2 || expression[0] != '$') return false;
  for (const std::string_view name : split(expression.substr(1), '.')) {
    const auto is_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    const bool is_name = !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0;
    if (!is_name || !std::all_of(name.begin(), name.end(), is_word)) return false;
  }
  return true;
}

ShapePtr Reader::read_query_path(std::string_view path, const std::string& pointer, std::size_t state,
                                 const Frame& frame, const ShapePtr& input, const QueryData& data) {
  const auto begins = [&](std::string_view root) {
    return path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '.');
  };
  std::size_t root_end = std::min(path.find('.'), path.size());
  ShapePtr root;
  if (begins("$states")) {
    root = begins("$states.input")         ? input
           : begins("$states.result")      ? data.result
           : begins("$states.errorOutput") ? data.error
                                           : nullptr;
    root_end = std::min(path.find('.', std::min(root_end + 1, path.size())), path.size());
  } else {
    root = read_variable(path.substr(1, root_end - 1), pointer, state, frame);
  }
  if (!root) return unknown_shape();
  Result<jsonpath::Path> rest = jsonpath::Path::compile("$" + std::string(path.substr(root_end)));
  if (!rest.ok() || !rest->is_reference()) return unknown_shape(root->all_sources);
  // A step into an array is taken in each of its items.
  const Found found = resolve(root, rest->reference_steps());
  if (found.miss == Miss::kArray) return unknown_shape(root->all_sources);
  return read_steps(root, rest->reference_steps(), path, pointer, state);
}

ShapePtr Reader::read_query(std::string_view text, const std::string& pointer, std::size_t state,
                            const Frame& frame, const ShapePtr& input, const QueryData& data) {
  const std::string_view expression = query_text(text);
  if (is_plain_query_path(expression)) {
    return read_query_path(expression, pointer, state, frame, input, data);
  }
  const JsonataNames names = scan_jsonata_names(expression);
  std::uint64_t sources = 0;
  if ((names.reached & kStatesInput) != 0) sources |= input->all_sources;
  if ((names.reached & kStatesResult) != 0 && data.result) sources |= data.result->all_sources;
  for (const std::string& name : names.free) {
    const auto variable = frame.variables.find(name);
    if (variable != frame.variables.end()) sources |= variable->second->all_sources;
  }
  return unknown_shape(sources);
}

ShapePtr Reader::read_template(const json::Value& value, const std::string& pointer, std::size_t state,
                               const Frame& frame, ShapePtr& root, const QueryData& data) {
  const bool is_jsonata = survey_.states[state].is_jsonata();
  if (is_jsonata && is_jsonata_expression(value)) {
    return read_query(value.as_string(), pointer, state, frame, root, data);
  }
  Shape out;
  if (value.is_array()) {
    out.kind = ShapeKind::kArray;
    out.is_tuple = true;
    for (std::size_t i = 0; i < value.size(); ++i) {
      out.items.push_back(
          read_template(value[i], pointer + "/" + std::to_string(i), state, frame, root, data));
    }
    return seal(std::move(out));
  }
  if (!value.is_object()) return shape_of(value);
  out.kind = ShapeKind::kObject;
  out.is_open = false;
  for (const json::Member& member : value.members()) {
    std::string_view name = member.key.as_string();
    const std::string place = pointer + "/" + escape_pointer(name);
    ShapePtr shape;
    if (!is_jsonata && name.ends_with(".$") && member.value.is_string()) {
      name.remove_suffix(2);
      shape = read(member.value.as_string(), place, state, frame, root);
    } else {
      shape = read_template(member.value, place, state, frame, root, data);
    }
    out.members[std::string(name)] = std::move(shape);
  }
  return seal(std::move(out));
}

ShapePtr Reader::select(std::string_view field, std::size_t state, const Frame& frame, ShapePtr& root) {
  const json::Value* path = survey_.states[state].definition.find(field);
  if (path == nullptr) return root;
  if (!path->is_string()) return empty_object();
  ShapePtr found = read(path->as_string(), survey_.states[state].at(field), state, frame, root);
  return path->as_string() == "$" ? root : found;
}

ShapePtr Reader::read_field(std::string_view field, std::size_t state, const Frame& frame, ShapePtr& root) {
  const json::Value* path = survey_.states[state].definition.find(field);
  if (path == nullptr || !path->is_string()) return unknown_shape();
  return read(path->as_string(), survey_.states[state].at(field), state, frame, root);
}

}  // namespace sortie::asl::analysis
