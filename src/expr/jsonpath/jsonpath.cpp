#include "expr/jsonpath/jsonpath.h"

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kReferenceStepsMax = 200;

// Characters that mean something in a full path and therefore need a backslash in a reference path's name.
bool is_reserved(char c) {
  switch (c) {
    case '@':
    case ',':
    case ':':
    case '?':
    case '*':
    case '[':
    case ']':
    case '(':
    case ')':
    case ' ':
      return true;
    default:
      return false;
  }
}

// Reads the grammar of reference paths, behind the first character, into `program`, whose text this is.
// `full` is for the text of a full path, in which a backslash is a character like any other and quotes in
// names mislead.
class ReferenceReader {
 public:
  ReferenceReader(Program& program, std::string_view text, bool full)
      : program_(program), text_(text), full_(full) {}

  bool read() {
    at_ = 1;
    while (at_ < text_.size()) {
      if (program_.steps.size() == kReferenceStepsMax || !read_step()) return false;
    }
    return true;
  }

 private:
  bool read_step() {
    const char c = text_[at_++];
    if (c == '.') return full_ ? read_plain() : read_escaped();
    if (c != '[' || at_ == text_.size()) return false;
    return text_[at_] == '\'' ? read_quoted() : read_index();
  }

  bool read_plain() {
    const std::size_t first = at_;
    for (; at_ < text_.size() && text_[at_] != '.' && text_[at_] != '['; ++at_) {
      const char c = text_[at_];
      if (is_reserved(c) || c == '\'' || c == '\\') return false;
    }
    if (at_ == first) return false;
    program_.steps.push(name_step(text_.substr(first, at_ - first)));
    return true;
  }

  bool read_escaped() {
    std::string name;
    const std::size_t first = at_;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      const char c = text_[at_++];
      if (c == '\\') {
        if (at_ == text_.size()) return false;
        name += text_[at_++];
      } else if (is_reserved(c)) {
        return false;
      } else {
        name += c;
      }
    }
    if (at_ == first) return false;
    program_.extras.push_back(std::make_unique<StepExtra>());
    program_.extras.back()->name = std::move(name);
    program_.steps.push(name_step(program_.extras.back()->name));
    return true;
  }

  bool read_quoted() {
    const std::size_t first = at_ + 1;
    const std::size_t end = text_.find('\'', first);
    if (end == std::string_view::npos || text_.substr(end, 2) != "']") return false;
    const std::string_view name = text_.substr(first, end - first);
    if (full_ && (name.find('[') != std::string_view::npos || name.find(']') != std::string_view::npos))
      return false;
    program_.steps.push(name_step(name));
    at_ = end + 2;
    return true;
  }

  bool read_index() {
    std::int32_t index = 0;
    const char* const first = text_.data() + at_;
    const char* const last = text_.data() + text_.size();
    const auto [end, error] = std::from_chars(first, last, index);
    if (error != std::errc() || *first == '-' || end == last || *end != ']') return false;
    Step step;
    step.kind = StepKind::kIndex;
    step.index = index;
    program_.steps.push(step);
    at_ += static_cast<std::size_t>(end - first) + 1;
    return true;
  }

  Program& program_;
  std::string_view text_;
  std::size_t at_ = 0;
  bool full_;
};

}  // namespace

bool read_plain_path(Program& program, std::string_view text, bool operand) {
  if (text[0] != '$' && !(operand && text[0] == '@')) return false;
  program.reference = ReferenceReader(program, text, true).read();
  if (!program.reference) program.steps.clear();
  return program.reference;
}

Result<Path> Path::compile(std::string_view text) {
  SORTIE_TRY(auto program, compile_path(text, false));
  return Path(std::move(program));
}

Result<Path> Path::compile_reference(std::string_view text) {
  const std::string_view trimmed = trim_controls(text);
  auto program = std::make_shared<Program>();
  program->text = trimmed;
  if (trimmed.size() > kTextBytesMax || !is_valid_utf8(trimmed) || !trimmed.starts_with('$') ||
      !ReferenceReader(*program, program->text, false).read()) {
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
