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

// Reads the grammar of reference paths. `steps` may be null where only its yes or no is wanted; `full` is for
// the text of a full path, in which a backslash is a character like any other and quotes in names mislead.
class ReferenceReader {
 public:
  ReferenceReader(std::string_view text, bool full, std::vector<ReferenceStep>* steps)
      : text_(text), full_(full), steps_(steps) {}

  bool read() {
    if (!text_.starts_with('$')) return false;
    at_ = 1;
    for (std::size_t count = 0; at_ < text_.size(); ++count) {
      if (count == kReferenceStepsMax || !read_step()) return false;
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
    return at_ > first;
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
    steps_->emplace_back(std::move(name));
    return true;
  }

  bool read_quoted() {
    const std::size_t first = at_ + 1;
    const std::size_t end = text_.find('\'', first);
    if (end == std::string_view::npos || text_.substr(end, 2) != "']") return false;
    const std::string_view name = text_.substr(first, end - first);
    if (full_ && (name.find('[') != std::string_view::npos || name.find(']') != std::string_view::npos))
      return false;
    if (steps_ != nullptr) steps_->emplace_back(std::string(name));
    at_ = end + 2;
    return true;
  }

  bool read_index() {
    std::int32_t index = 0;
    const char* const first = text_.data() + at_;
    const char* const last = text_.data() + text_.size();
    const auto [end, error] = std::from_chars(first, last, index);
    if (error != std::errc() || *first == '-' || end == last || *end != ']') return false;
    if (steps_ != nullptr) steps_->emplace_back(static_cast<std::uint32_t>(index));
    at_ += static_cast<std::size_t>(end - first) + 1;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool full_;
  std::vector<ReferenceStep>* steps_;
};

}  // namespace

bool is_reference_text(std::string_view text) { return ReferenceReader(text, true, nullptr).read(); }

Result<Path> Path::compile(std::string_view text) {
  SORTIE_TRY(auto program, compile_path(text, false));
  return Path(std::move(program));
}

Result<Path> Path::compile_reference(std::string_view text) {
  const std::string_view trimmed = trim_controls(text);
  std::vector<ReferenceStep> steps;
  if (trimmed.size() > kTextBytesMax || !is_valid_utf8(trimmed) ||
      !ReferenceReader(trimmed, false, &steps).read()) {
    Error error = invalid_path("'" + to_valid_utf8(truncate_utf8(trimmed, 200)) + "' is no reference path");
    error.hint = "name one node: $, .name, ['name'] and [0] only; put a backslash before @,:?*[]() in a name";
    return error;
  }
  auto program = std::make_shared<Program>();
  program->text = trimmed;
  program->reference = true;
  for (const ReferenceStep& reference : steps) {
    Step step;
    if (const auto* name = std::get_if<std::string>(&reference)) {
      step.kind = StepKind::kName;
      step.name = *name;
      step.slot = slot_of(*name);
    } else {
      step.kind = StepKind::kIndex;
      step.index = static_cast<std::int32_t>(std::get<std::uint32_t>(reference));
    }
    program->steps.push_back(std::move(step));
  }
  program->reference_steps = std::move(steps);
  return Path(std::move(program));
}

const std::string& Path::text() const { return program_->text; }
bool Path::is_root() const { return program_->steps.empty(); }
bool Path::is_definite() const { return program_->definite; }
bool Path::is_reference() const { return program_->reference; }
std::span<const ReferenceStep> Path::reference_steps() const { return program_->reference_steps; }

Result<json::Value> Path::evaluate(const json::Value& root) const {
  return evaluate_program(*program_, root);
}

const json::Value* Path::find(const json::Value& root) const { return find_in(*program_, root); }

}  // namespace sortie::jsonpath
