#include "expr/jsonpath/jsonpath.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

// What a character is in a dotted name: bit 0 its end, bit 1 something that has a meaning in a full path and
// therefore needs a backslash in a reference path's name, bit 2 something that misleads the reader of full
// paths.
struct NameClasses {
  unsigned char of[256] = {};
  constexpr NameClasses() {
    of[static_cast<unsigned char>('.')] = of[static_cast<unsigned char>('[')] = 1;
    for (const char c : std::string_view("@,:?*]() ")) of[static_cast<unsigned char>(c)] = 2;
    for (const char c : std::string_view("'\\")) of[static_cast<unsigned char>(c)] = 4;
  }
};
constexpr NameClasses kNameClasses;

unsigned char class_of(char c) { return kNameClasses.of[static_cast<unsigned char>(c)]; }

// ['name'] at `at`, which is behind the bracket; moves behind it.
bool read_quoted_step(Program& program, std::string_view text, std::size_t& at, bool full) {
  const std::size_t first = at + 1;
  std::size_t end = first;
  for (; end < text.size() && text[end] != '\''; ++end) {
    if (full && (text[end] == '[' || text[end] == ']')) return false;
  }
  if (text.substr(std::min(end, text.size()), 2) != "']") return false;
  add_name_step(program, text.substr(first, end - first));
  at = end + 2;
  return true;
}

// [0], likewise.
bool read_index_step(Program& program, std::string_view text, std::size_t& at) {
  std::int32_t index = 0;
  const char* const first = text.data() + at;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, index);
  if (error != std::errc() || *first == '-' || end == last || *end != ']') return false;
  Step& step = program.steps.add();
  step.kind = StepKind::kIndex;
  step.index = index;
  at += static_cast<std::size_t>(end - first) + 1;
  return true;
}

// .name of a reference path, behind the dot.
bool read_escaped_step(Program& program, std::string_view text, std::size_t& at) {
  std::string name;
  const std::size_t first = at;
  while (at < text.size() && class_of(text[at]) != 1) {
    const char c = text[at++];
    if (c == '\\') {
      if (at == text.size()) return false;
      name += text[at++];
    } else if (class_of(c) == 2) {
      return false;
    } else {
      name += c;
    }
  }
  if (at == first) return false;
  StepExtra& extra = program.extras.emplace_front();
  extra.name = std::move(name);
  add_name_step(program, extra.name);
  return true;
}

bool read_reference_path(Program& program, std::string_view text) {
  if (!text.starts_with('$')) return false;
  for (std::size_t at = 1; at < text.size();) {
    if (program.steps.size() == kReferenceStepsMax) return false;
    const char c = text[at++];
    if (c == '.') {
      if (!read_escaped_step(program, text, at)) return false;
    } else if (c != '[' || at == text.size()) {
      return false;
    } else if (!(text[at] == '\'' ? read_quoted_step(program, text, at, false)
                                  : read_index_step(program, text, at))) {
      return false;
    }
  }
  return true;
}

}  // namespace

bool read_plain_step(Program& program, std::string_view text, std::size_t& at) {
  std::size_t next = at + 1;
  if (text[at] == '.') {
    unsigned char seen = 0;
    for (; next < text.size() && (seen = class_of(text[next])) == 0; ++next) {
    }
    if (seen > 1 || next == at + 1) return false;
    add_name_step(program, text.substr(at + 1, next - at - 1));
  } else if (text[at] != '[' || next == text.size() ||
             !(text[next] == '\'' ? read_quoted_step(program, text, next, true)
                                  : read_index_step(program, text, next))) {
    return false;
  }
  at = next;
  return true;
}

Result<Path> Path::compile(std::string_view text) {
  SORTIE_TRY(auto program, compile_path(text, false));
  return Path(std::move(program));
}

Result<Path> Path::compile_reference(std::string_view text) {
  const std::string_view trimmed = trim_controls(text);
  auto program = std::make_shared<Program>();
  program->text = trimmed;
  if (trimmed.size() > kTextBytesMax || !is_valid_utf8(trimmed) ||
      !read_reference_path(*program, program->text)) {
    Error error = invalid_path("'" + to_valid_utf8(truncate_utf8(trimmed, 200)) + "' is no reference path");
    error.hint = "name one node: $, .name, ['name'] and [0] only; put a backslash before @,:?*[]() in a name";
    return error;
  }
  program->reference = true;
  return Path(std::move(program));
}

const std::string& Path::text() const { return program_->text; }
bool Path::is_root() const { return program_->steps.empty(); }
bool Path::is_definite() const { return program_->definite; }
bool Path::is_reference() const { return program_->reference; }

std::vector<ReferenceStep> Path::reference_steps() const {
  std::vector<ReferenceStep> out;
  if (!program_->reference) return out;
  for (const Step& step : program_->steps) {
    if (step.kind == StepKind::kName) {
      out.emplace_back(std::string(step.name.text()));
    } else {
      out.emplace_back(static_cast<std::uint32_t>(step.index));
    }
  }
  return out;
}

Result<json::Value> Path::evaluate(const json::Value& root) const {
  return evaluate_program(*program_, root);
}

const json::Value* Path::find(const json::Value& root) const { return find_in(*program_, root); }

}  // namespace sortie::jsonpath
