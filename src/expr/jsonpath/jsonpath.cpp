#include "expr/jsonpath/jsonpath.h"

#include <charconv>

#include "base/text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kReferenceStepsMax = 200;

// Characters that mean something in a full path and therefore need a backslash in a reference path's name.
constexpr std::string_view kReserved = "@,:?*[]() ";

class ReferenceReader {
 public:
  ReferenceReader(std::string_view text, bool escapes) : text_(text), escapes_(escapes) {}

  std::optional<std::vector<ReferenceStep>> read() {
    if (!text_.starts_with('$')) return std::nullopt;
    at_ = 1;
    while (at_ < text_.size()) {
      if (!read_step() || steps_.size() > kReferenceStepsMax) return std::nullopt;
    }
    return std::move(steps_);
  }

 private:
  bool read_step() {
    const char c = text_[at_++];
    if (c == '.') return read_dotted();
    if (c != '[' || at_ == text_.size()) return false;
    return text_[at_] == '\'' ? read_quoted() : read_index();
  }

  bool read_dotted() {
    std::string name;
    bool escaped = false;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      const char c = text_[at_++];
      if (c == '\\') {
        if (!escapes_ || at_ == text_.size()) return false;
        escaped = true;
        name += text_[at_++];
      } else if (kReserved.find(c) != std::string_view::npos) {
        return false;
      } else {
        name += c;
      }
    }
    if (name.empty() && !escaped) return false;
    steps_.emplace_back(std::move(name));
    return true;
  }

  bool read_quoted() {
    const std::size_t end = text_.find('\'', at_ + 1);
    if (end == std::string_view::npos || text_.substr(end, 2) != "']") return false;
    steps_.emplace_back(std::string(text_.substr(at_ + 1, end - at_ - 1)));
    at_ = end + 2;
    return true;
  }

  bool read_index() {
    std::int32_t index = 0;
    const char* const first = text_.data() + at_;
    const char* const last = text_.data() + text_.size();
    const auto [end, error] = std::from_chars(first, last, index);
    if (error != std::errc() || *first == '-' || end == last || *end != ']') return false;
    steps_.emplace_back(static_cast<std::uint32_t>(index));
    at_ += static_cast<std::size_t>(end - first) + 1;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  bool escapes_;
  std::vector<ReferenceStep> steps_;
};

}  // namespace

std::optional<std::vector<ReferenceStep>> parse_reference(std::string_view text, bool escapes) {
  return ReferenceReader(text, escapes).read();
}

Result<Path> Path::compile(std::string_view text) {
  SORTIE_TRY(auto program, compile_path(text, false));
  return Path(std::move(program));
}

Result<Path> Path::compile_reference(std::string_view text) {
  const std::string_view trimmed = trim_controls(text);
  std::optional<std::vector<ReferenceStep>> steps;
  if (trimmed.size() <= kTextBytesMax && is_valid_utf8(trimmed)) steps = parse_reference(trimmed, true);
  if (!steps) {
    Error error = invalid_path("'" + to_valid_utf8(truncate_utf8(trimmed, 200)) + "' is no reference path");
    error.hint = "name one node: $, .name, ['name'] and [0] only; put a backslash before @,:?*[]() in a name";
    return error;
  }
  auto program = std::make_shared<Program>();
  program->text = trimmed;
  program->reference = true;
  for (const ReferenceStep& reference : *steps) {
    Step step;
    if (const auto* name = std::get_if<std::string>(&reference)) {
      step.kind = StepKind::kName;
      step.names.push_back(*name);
    } else {
      step.kind = StepKind::kIndex;
      step.numbers.push_back(static_cast<std::int32_t>(std::get<std::uint32_t>(reference)));
    }
    program->steps.push_back(std::move(step));
  }
  program->reference_steps = *std::move(steps);
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
