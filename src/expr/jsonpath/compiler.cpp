// The path grammar, character for character as the reference library reads it. It is not a clean grammar:
// the text is cut into fragments first (a dotted name becomes a bracket with a quoted name), and each
// fragment is then searched for the first character that tells what it is. What looks like sloppiness here
// is what existing paths rely on.
#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kFragmentShown = 200;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_regex_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\v' || c == '\f' || c == '\r';
}

// Reads one bracket fragment, "[...]" as it was cut out (the closing bracket may be missing).
class FragmentReader {
 public:
  FragmentReader(Program& program, std::string_view text) : program_(program), text_(text) {}

  Result<Step> read(bool operand) {
    Step step;
    if (is_placeholder()) {
      step.kind = StepKind::kFilter;
      add_extra(step);
      return step;
    }
    for (at_ = 0; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '?') return read_filter(operand);
      if (c == '\'') return read_names();
      if (is_digit(c) || c == ':' || c == '-') return read_numbers();
      if (c == '@') return read_from_end();
    }
    return invalid_path("Could not analyze path component: " +
                        std::string(truncate_utf8(text_, kFragmentShown)));
  }

 private:
  // [?], [?,?] and the like: filters that a program would pass in, and nobody does here.
  bool is_placeholder() const {
    if (text_.size() < 3 || text_.front() != '[' || text_.back() != ']') return false;
    std::string_view inner = text_.substr(1, text_.size() - 2);
    while (!inner.empty() && is_regex_space(inner.front())) inner.remove_prefix(1);
    if (inner.empty() || inner.front() != '?') return false;
    for (const char c : inner) {
      if (c != '?' && c != ',' && c != '*' && !is_regex_space(c)) return false;
    }
    return true;
  }

  Result<Step> read_filter(bool operand) {
    // A path inside a filter has to be definite, which one with a filter of its own is not.
    if (operand) return invalid_path("the predicate path is not definite: it holds a filter");
    const std::size_t first = text_.rfind('[', at_);
    int parentheses = 0;
    int brackets = 0;
    bool quoted = false;
    char before = ' ';
    for (std::size_t i = first; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\'' && before != '\\') quoted = !quoted;
      before = c;
      if (quoted) continue;
      if (c == '(') ++parentheses;
      if (c == ')') --parentheses;
      if (c == '[') ++brackets;
      if (c != ']') continue;
      --brackets;
      if (parentheses != 0) continue;
      if (brackets != 0) break;
      Step step;
      step.kind = StepKind::kFilter;
      SORTIE_TRY_STATUS(compile_filter(text_.substr(first, i + 1 - first), add_extra(step).filter.emplace()));
      return step;
    }
    return invalid_path("Filter brackets are not balanced");
  }

  Result<Step> read_names() {
    std::vector<std::string> names;
    std::string name;
    bool open = false;
    for (; at_ < text_.size() && text_[at_] != ']'; ++at_) {
      if (text_[at_] != '\'') {
        if (open) name += text_[at_];
      } else if (open) {
        names.push_back(std::exchange(name, {}));
        open = false;
      } else {
        open = true;
      }
    }
    if (at_ == text_.size()) return unclosed();
    Step step;
    StepExtra& extra = add_extra(step);
    if (names.size() == 1) {
      extra.name = std::move(names[0]);
      step.kind = StepKind::kName;
      return step;
    }
    step.kind = StepKind::kNames;
    extra.names = std::move(names);
    return step;
  }

  // [(@.length-1)] and [(@.size() - 1)]; at the '@'.
  Result<Step> read_from_end() {
    std::string function;
    for (at_ += 2; at_ < text_.size() && text_[at_] != '-'; ++at_) {
      const char c = text_[at_];
      if (c != ' ' && c != '(' && c != ')') function += c;
    }
    if (at_ >= text_.size()) return unclosed();
    if (function != "size" && function != "length") {
      return invalid_path("Invalid function: @." + function +
                          ". Supported functions are: [(@.length - n)] and [(@.size() - n)]");
    }
    std::string digits;
    for (; at_ < text_.size() && text_[at_] != ')'; ++at_) {
      if (text_[at_] != ' ') digits += text_[at_];
    }
    if (at_ == text_.size()) return unclosed();
    Step step;
    step.kind = StepKind::kFromEnd;
    SORTIE_TRY(step.index, number_of(digits));
    return step;
  }

  // Indices and slices. A second colon and what follows it are read and forgotten.
  Result<Step> read_numbers() {
    std::vector<std::int32_t> numbers;
    std::string digits;
    bool list = false;
    bool to = false;
    bool from = false;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (!is_digit(c) && c != ',' && c != ' ' && c != ':' && c != '-') break;
      if (c == ':') {
        const bool open = digits.empty();
        if (!open) SORTIE_TRY_STATUS(push_number(digits, numbers));
        for (++at_; at_ < text_.size() && (is_digit(text_[at_]) || text_[at_] == ' ' || text_[at_] == '-');
             ++at_) {
          if (text_[at_] != ' ') digits += text_[at_];
        }
        if (!open && digits.empty()) {
          from = true;
        } else {
          to = to || open;
          SORTIE_TRY_STATUS(push_number(digits, numbers));
        }
      } else if (c == ',') {
        SORTIE_TRY_STATUS(push_number(digits, numbers));
        list = true;
      } else if (c != ' ') {
        digits += c;
      }
      if (at_ >= text_.size()) return unclosed();
      if (text_[at_] == ']') break;
      ++at_;
    }
    if (at_ >= text_.size()) return unclosed();
    if (!digits.empty()) SORTIE_TRY_STATUS(push_number(digits, numbers));
    Step step;
    if (numbers.size() == 1 && !to && !from) {
      step.kind = StepKind::kIndex;
      step.index = numbers[0];
      return step;
    }
    add_extra(step).numbers = std::move(numbers);
    if (list) {
      step.kind = StepKind::kIndices;
    } else {
      step.kind = from ? StepKind::kSliceFrom : to ? StepKind::kSliceTo : StepKind::kSliceBetween;
    }
    return step;
  }

  // Takes the digits.
  static Status push_number(std::string& digits, std::vector<std::int32_t>& numbers) {
    SORTIE_TRY(const std::int32_t number, number_of(digits));
    numbers.push_back(number);
    digits.clear();
    return {};
  }

  static Result<std::int32_t> number_of(const std::string& digits) {
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      return invalid_path("'" + digits.substr(0, 40) + "' is no array index");
    }
    return number;
  }

  StepExtra& add_extra(Step& step) {
    StepExtra& extra = program_.extras.emplace_front();
    step.extra = &extra;
    return extra;
  }

  static Error unclosed() { return invalid_path("a bracket is not closed"); }

  Program& program_;
  std::string_view text_;
  std::size_t at_ = 0;
};

class PathReader {
 public:
  // `text` lies in the program.
  PathReader(Program& program, std::string_view text, bool operand)
      : program_(program), text_(text), operand_(operand) {}

  Status read() {
    bool plain = true;
    // at_ 0 is the '$'.
    for (at_ = 1; at_ < text_.size();) {
      const std::size_t first = at_;
      if (!read_plain_step(program_, text_, at_)) {
        plain = false;
        SORTIE_TRY(bool made, read_step());
        if (!made) continue;
      }
      if (program_.steps.size() > kStepCountMax || fan_outs_ > kFanOutMax) {
        return Error{std::string(kLimitExceeded), "the path has too many steps",
                     "offset " + std::to_string(first), ""};
      }
    }
    program_.reference =
        plain && !operand_ && program_.text[0] == '$' && program_.steps.size() <= kReferenceStepsMax;
    return {};
  }

 private:
  Result<bool> read_step() {
    switch (text_[at_]) {
      case ' ':
        return invalid_path("Space not allowed in path", at_);
      case '$':
        ++at_;
        return add({});
      case '*':
        ++at_;
        return add_wildcard();
      case '[':
        return read_bracket();
      case '.':
        return read_dot();
      default:
        return read_dotted_name();
    }
  }

  Result<bool> read_dot() {
    ++at_;
    if (at_ == text_.size()) return invalid_path("A path can not end with a dot", at_);
    if (text_[at_] == '.') {
      ++at_;
      Step step;
      step.kind = StepKind::kScan;
      return add(step);
    }
    const std::size_t end = name_end();
    if (end == at_) return false;
    if (end == at_ + 1 && text_[at_] == '*') {
      ++at_;
      return add_wildcard();
    }
    return read_dotted_name();
  }

  Result<bool> read_dotted_name() {
    const std::size_t end = name_end();
    const std::string_view name = text_.substr(at_, end - at_);
    at_ = end;
    if (name.find('\'') == std::string_view::npos && name.find(']') == std::string_view::npos)
      return add_name_step(program_, name), true;
    const std::string fragment = "['" + std::string(name) + "']";
    SORTIE_TRY(Step step, FragmentReader(program_, fragment).read(operand_));
    return add(step);
  }

  // Counts brackets, blind to quotes: ['a]'] ends at its first bracket.
  Result<bool> read_bracket() {
    if (text_.substr(at_, 3) == "[*]") {
      at_ += 3;
      return add_wildcard();
    }
    const std::size_t first = at_;
    int nested = 0;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == ']' && nested == 0) {
        ++at_;
        break;
      }
      if (c == '[') ++nested;
      if (c == ']') --nested;
    }
    auto step = FragmentReader(program_, text_.substr(first, at_ - first)).read(operand_);
    if (!step) {
      Error error = std::move(step).error();
      if (error.place.empty()) error.place = "offset " + std::to_string(first);
      return error;
    }
    return add(*step);
  }

  std::size_t name_end() const {
    std::size_t end = at_;
    while (end < text_.size() && text_[end] != '.' && text_[end] != '[' && text_[end] != ' ') ++end;
    return end;
  }

  bool add_wildcard() {
    Step step;
    step.kind = StepKind::kWildcard;
    return add(step);
  }

  bool add(const Step& step) {
    if (step.kind >= StepKind::kSliceFrom || step.kind == StepKind::kIndices) ++fan_outs_;
    if (step.kind == StepKind::kName) {
      add_name_step(program_, step.extra->name);
    } else {
      program_.steps.add() = step;
    }
    return true;
  }

  Program& program_;
  std::string_view text_;
  std::size_t at_ = 0;
  bool operand_;
  std::size_t fan_outs_ = 0;
};

bool is_definite_step(const Step& step) {
  return step.kind <= StepKind::kIndex || step.kind == StepKind::kFromEnd;
}

// A member that is absent before the path's end drops its branch when the step itself, the one before it or
// anything after it is indefinite; otherwise it is an error.
void settle_definiteness(Program& program) {
  Steps& steps = program.steps;
  bool definite_from = true;
  for (std::size_t i = steps.size(); i-- > 0;) {
    const bool own = is_definite_step(steps[i]);
    definite_from = definite_from && own;
    const bool before = i == 0 || is_definite_step(steps[i - 1]);
    steps[i].drop_missing = !(definite_from && before);
    program.linear = program.linear && own && steps[i].kind != StepKind::kNames;
  }
  program.definite = definite_from;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) {
    out += out.empty() ? "'" : ", '";
    out += name;
    out += '\'';
  }
  return out;
}

std::string joined(const std::vector<std::int32_t>& numbers) {
  std::string out;
  for (const std::int32_t number : numbers) {
    if (!out.empty()) out += ',';
    out += std::to_string(number);
  }
  return out;
}

}  // namespace

void add_name_step(Program& program, std::string_view name) {
  Step& step = program.steps.add();
  step.kind = StepKind::kName;
  step.name = json::Key(name);
  std::size_t mixed = name.size();
  if (!name.empty())
    mixed += static_cast<unsigned char>(name.front()) * 5u + static_cast<unsigned char>(name.back()) * 3u;
  step.slot = static_cast<std::uint8_t>(mixed % kSlotCount);
}

Error invalid_path(std::string message, std::optional<std::size_t> offset) {
  return {std::string(kInvalidPath), std::move(message),
          offset ? "offset " + std::to_string(*offset) : std::string(), ""};
}

std::string_view trim_controls(std::string_view text) {
  const auto blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

Result<std::shared_ptr<const Program>> compile_path(std::string_view text, bool operand) {
  if (text.size() > kTextBytesMax) {
    return Error{std::string(kLimitExceeded),
                 "the path is longer than " + std::to_string(kTextBytesMax) + " bytes", "", ""};
  }
  if (!is_valid_utf8(text)) return invalid_path("the path is not valid UTF-8");
  text = trim_controls(text);
  if (text.empty()) return invalid_path("Path may not be null empty");
  if (text.ends_with("..")) return invalid_path("A path can not end with a scan.", text.size() - 2);
  auto program = std::make_shared<Program>();
  program->text = text;
  program->begins_at = text[0] == '@';
  std::string_view rooted = program->text;  // The first character stands for the root, whichever it is.
  if (text[0] != '$' && text[0] != '@') {
    program->rooted = "$." + std::string(text);
    rooted = program->rooted;
  }
  if (rooted.size() > 1 && rooted[1] != '.' && rooted[1] != '[') {
    return invalid_path("Invalid path $" + std::string(truncate_utf8(rooted.substr(1), kFragmentShown)), 1);
  }
  SORTIE_TRY_STATUS(PathReader(*program, rooted, operand).read());
  if (!program->steps.empty() && program->steps.back().kind == StepKind::kScan) {
    return invalid_path("A path can not end with a scan.");
  }
  settle_definiteness(*program);
  if (operand && !program->definite) {
    return invalid_path("the predicate path: " + program->text + " is not definite");
  }
  return std::shared_ptr<const Program>(std::move(program));
}

std::string step_text(const Step& step) {
  switch (step.kind) {
    case StepKind::kRoot:
      return "$";
    case StepKind::kName:
      return "['" + std::string(step.name.text()) + "']";
    case StepKind::kNames:
      return "[" + joined(step.extra->names) + "]";
    case StepKind::kIndex:
      return "[" + std::to_string(step.index) + "]";
    case StepKind::kIndices:
      return "[" + joined(step.extra->numbers) + "]";
    case StepKind::kFromEnd:
      return "[@.size()" + std::to_string(step.index) + "]";
    case StepKind::kSliceFrom:
      return "[" + std::to_string(step.extra->numbers[0]) + ":]";
    case StepKind::kSliceTo:
      return "[:" + std::to_string(step.extra->numbers[0]) + "]";
    case StepKind::kSliceBetween:
      return "[" + std::to_string(step.extra->numbers[0]) + ":" + std::to_string(step.extra->numbers[1]) +
             "]";
    case StepKind::kWildcard:
      return "[*]";
    case StepKind::kScan:
      return "..";
    case StepKind::kFilter:
      return "[?]";
  }
  return "";
}

std::string steps_text(const Program& program, std::size_t first) {
  std::string out;
  for (std::size_t i = first; i < program.steps.size(); ++i) out += step_text(program.steps[i]);
  return out;
}

}  // namespace sortie::jsonpath
