// Walks a document along the steps of a path.
//
// Steps with one result (names, indices) are a loop; a step with many results calls `run` for each of them,
// so the call depth is bounded by the number of such steps, which the compiler bounds. `..` walks the
// document with a list of its own. Nothing is remembered about the way until something has failed for good:
// then the same evaluation runs a second time with `tracing_` on and words the error.
#include <array>

#include "base/text.h"
#include "expr/jsonpath/compare.h"
#include "expr/jsonpath/java_text.h"
#include "expr/jsonpath/program.h"

namespace sortie::jsonpath {
namespace {

constexpr std::size_t kFetchAhead = 8;
constexpr std::size_t kWorkBytesPerStep = 64;  // Reading so many bytes of text counts as a step.

enum class Outcome : std::uint8_t { kOk, kNotFound, kInvalid, kLimit };

// The value at an index, or nullptr.
const json::Value* element(const json::Value& array, std::int64_t index) {
  const auto items = array.items();
  if (index < 0 || index >= static_cast<std::int64_t>(items.size())) return nullptr;
  return &items[static_cast<std::size_t>(index)];
}

// Follows a linear path; `find` looks a member up.
template <typename Find>
const json::Value* follow(const Program& program, const json::Value& root, Outcome& out, const Find& find) {
  const json::Value* value = &root;
  for (const Step& step : program.steps) {
    const json::Value* next = nullptr;
    if (step.kind == StepKind::kName) {
      next = find(*value, step);
    } else if (step.kind == StepKind::kRoot) {
      next = value;
    } else if (value->is_array()) {
      std::int64_t index = step.index;
      if (step.kind == StepKind::kFromEnd) index += static_cast<std::int64_t>(value->size());
      next = element(*value, index);
    } else if (!value->is_null()) {
      out = Outcome::kInvalid;
      return nullptr;
    }
    if (next == nullptr) {
      out = Outcome::kNotFound;
      return nullptr;
    }
    value = next;
  }
  return value;
}

class Evaluation {
 public:
  Evaluation(const json::Value& document, bool tracing) : document_(document), tracing_(tracing) {}

  Outcome run(const Program& program, const json::Value& root) {
    program_ = &program;
    return run(0, &root);
  }

  std::vector<json::Value>& results() { return results_; }

  Error error(Outcome outcome) {
    switch (outcome) {
      case Outcome::kNotFound:
        return {std::string(kPathNotFound), std::move(message_), "", ""};
      case Outcome::kLimit:
        return {std::string(kLimitExceeded), "evaluating the path takes too much work", "",
                "name what is wanted more exactly: fewer wildcards and '..'"};
      default:
        return {std::string(kInvalidPath), std::move(message_), "", ""};
    }
  }

 private:
  // A piece of the path walked so far, for messages: a name or an index.
  struct Segment {
    std::string_view key;
    std::int64_t index = 0;
    bool is_index = false;
  };
  struct Mark {
    std::size_t size;
    std::size_t base;
  };

  const Step& step_at(std::size_t at) const { return program_->steps[at]; }
  bool is_last(std::size_t at) const { return at + 1 == program_->steps.size(); }

  Outcome run(std::size_t at, const json::Value* value) {
    for (; at < program_->steps.size(); ++at) {
      if (!spend(1)) return Outcome::kLimit;
      const Step& step = step_at(at);
      switch (step.kind) {
        case StepKind::kRoot:
          base_ = segments_.size();
          continue;
        case StepKind::kName: {
          const json::Value* member = find_member(*value, step);
          if (member == nullptr) return missing(at, *value);
          push_key(step.name.text());
          value = member;
          continue;
        }
        case StepKind::kNames:
          return add_selection(at, *value);
        case StepKind::kIndex:
        case StepKind::kFromEnd: {
          if (!value->is_array()) return no_array(at, *value);
          std::int64_t index = step.index;
          if (step.kind == StepKind::kFromEnd) index += static_cast<std::int64_t>(value->size());
          const json::Value* item = element(*value, index);
          push(index);
          if (item == nullptr) return out_of_bounds();
          value = item;
          continue;
        }
        default:
          return fan_out(at, *value);
      }
    }
    if (results_.size() == kResultsMax) return Outcome::kLimit;
    results_.push_back(*value);
    return Outcome::kOk;
  }

  // A member by name, looked for first where the name was found last time.
  const json::Value* find_member(const json::Value& object, const Step& step) {
    const auto members = object.members();
    std::uint32_t& place = places_[step.slot];
    if (place < members.size() && members[place].key.is(step.name)) return &members[place].value;
    const json::Value* found = object.find(step.name);
    if (found != nullptr) {
      const auto distance =
          reinterpret_cast<const char*>(found) - reinterpret_cast<const char*>(&members[0].value);
      place = static_cast<std::uint32_t>(static_cast<std::size_t>(distance) / sizeof(json::Member));
    }
    return found;
  }

  Outcome fan_out(std::size_t at, const json::Value& value) {
    const StepKind kind = step_at(at).kind;
    if (kind == StepKind::kWildcard) return each_child(at, value);
    if (kind == StepKind::kScan) return scan(at, value);
    if (kind == StepKind::kFilter) return filter(at, value);
    if (!value.is_array()) return no_array(at, value);
    return slice(at, value);
  }

  Outcome slice(std::size_t at, const json::Value& array) {
    const Step& step = step_at(at);
    const auto length = static_cast<std::int64_t>(array.size());
    if (step.kind == StepKind::kIndices) {
      for (const std::int32_t index : step.extra->numbers) {
        if (const Outcome out = run_element(at, array, index); out != Outcome::kOk) return out;
      }
      return Outcome::kOk;
    }
    std::int64_t from = 0;
    std::int64_t to = length;
    if (step.kind == StepKind::kSliceFrom) {
      from = step.extra->numbers[0] < 0 ? step.extra->numbers[0] + length : step.extra->numbers[0];
      from = std::max<std::int64_t>(from, 0);
    } else if (step.kind == StepKind::kSliceTo) {
      to = step.extra->numbers[0] < 0 ? step.extra->numbers[0] + length : step.extra->numbers[0];
      to = std::min(to, length);
    } else {
      // A negative bound of a two-sided slice does not count from the end; it is simply out of bounds.
      from = step.extra->numbers[0];
      to = std::min<std::int64_t>(step.extra->numbers[1], length);
      if (length == 0) return Outcome::kOk;
    }
    for (std::int64_t i = from; i < to; ++i) {
      if (const Outcome out = run_element(at, array, i); out != Outcome::kOk) return out;
    }
    return Outcome::kOk;
  }

  // Below an array's wildcard, what finds nothing is left out; below an object's it is an error.
  Outcome each_child(std::size_t at, const json::Value& value) {
    const auto items = value.items();
    expect_results(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      // The elements lie all over the memory: that of a later one is fetched.
      if (i + kFetchAhead < items.size()) __builtin_prefetch(items[i + kFetchAhead].identity());
      const Outcome out = run_item(at, items, i);
      if (out != Outcome::kOk && out != Outcome::kNotFound) return out;
    }
    for (const json::Member& member : value.members()) {
      const Outcome out = run_member(at, member);
      if (out != Outcome::kOk) return out;
    }
    return spend(1) ? Outcome::kOk : Outcome::kLimit;
  }

  // Room for as many more, growing by half as much again at least, so that many small arrays cost no more.
  void expect_results(std::size_t more) {
    const std::size_t wanted = std::min(results_.size() + more, kResultsMax);
    if (wanted > results_.capacity()) results_.reserve(std::max(wanted, results_.capacity() * 3 / 2));
  }

  Outcome run_element(std::size_t at, const json::Value& array, std::int64_t index) {
    const Mark before = mark();
    push(index);
    const json::Value* item = element(array, index);
    const Outcome out = item == nullptr ? out_of_bounds() : run(at + 1, item);
    reset(before);
    return out;
  }

  Outcome run_item(std::size_t at, std::span<const json::Value> items, std::size_t index) {
    if (!tracing_) return run(at + 1, &items[index]);
    const Mark before = mark();
    push(static_cast<std::int64_t>(index));
    const Outcome out = run(at + 1, &items[index]);
    reset(before);
    return out;
  }

  Outcome run_member(std::size_t at, const json::Member& member) {
    const Mark before = mark();
    push_key(member.key.as_string());
    const Outcome out = run(at + 1, &member.value);
    reset(before);
    return out;
  }

  // Visits containers from the outside in, in document order. The next step is applied to each that could
  // hold it; on an array, when more steps follow, it is skipped and they are applied to every element.
  Outcome scan(std::size_t at, const json::Value& root) {
    struct Frame {
      std::span<const json::Value> items;
      std::span<const json::Member> members;
      std::size_t next;
      Mark mark;
    };
    std::vector<Frame> frames;
    const auto enter = [&](const json::Value& value) {
      const json::Kind kind = value.kind();
      if (kind != json::Kind::kArray && kind != json::Kind::kObject) return Outcome::kOk;
      if (!spend(1)) return Outcome::kLimit;
      const Outcome out = scan_node(at + 1, value, kind);
      if (kind == json::Kind::kArray) {
        frames.push_back({value.items(), {}, 0, mark()});
      } else {
        frames.push_back({{}, value.members(), 0, mark()});
      }
      return out;
    };
    Outcome out = enter(root);
    while (out == Outcome::kOk && !frames.empty()) {
      Frame& frame = frames.back();
      if (tracing_) reset(frame.mark);
      const std::size_t index = frame.next++;
      if (index < frame.items.size()) {
        push(static_cast<std::int64_t>(index));
        out = enter(frame.items[index]);
      } else if (index < frame.members.size()) {
        const json::Member& member = frame.members[index];
        if (tracing_) push_key(member.key.as_string());
        out = enter(member.value);
      } else {
        frames.pop_back();
      }
    }
    return out;
  }

  Outcome scan_node(std::size_t at, const json::Value& value, json::Kind kind) {
    bool wanted = false;
    const Outcome known = scan_wants(step_at(at), value, kind, wanted);
    if (known != Outcome::kOk || !wanted) return known;
    if (kind == json::Kind::kObject || is_last(at)) {
      const Mark before = mark();
      const Outcome out = run(at, &value);
      reset(before);
      return out;
    }
    const auto items = value.items();
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (const Outcome out = run_item(at, items, i); out != Outcome::kOk) return out;
    }
    return Outcome::kOk;
  }

  Outcome scan_wants(const Step& step, const json::Value& value, json::Kind kind, bool& wanted) {
    switch (step.kind) {
      case StepKind::kName:
        wanted = kind == json::Kind::kObject && value.find(step.name) != nullptr;
        return Outcome::kOk;
      case StepKind::kNames:
        wanted = kind == json::Kind::kObject;
        for (const std::string& name : step.extra->names) wanted = wanted && value.has(name);
        return spend(step.extra->names.size()) ? Outcome::kOk : Outcome::kLimit;
      case StepKind::kWildcard:
        wanted = true;
        return Outcome::kOk;
      case StepKind::kFilter:
        return accepts(step, value, wanted);
      case StepKind::kRoot:
      case StepKind::kScan:
        return Outcome::kOk;
      default:
        wanted = kind == json::Kind::kArray;
        return Outcome::kOk;
    }
  }

  Outcome filter(std::size_t at, const json::Value& value) {
    const Step& step = step_at(at);
    bool accepted = false;
    if (value.is_object()) {
      if (const Outcome out = accepts(step, value, accepted); out != Outcome::kOk) return out;
      return accepted ? run(at + 1, &value) : Outcome::kOk;
    }
    if (!value.is_array()) {
      return fail(Outcome::kInvalid, [&] {
        return "Filter: " + steps_text(*program_, at) +
               " can not be applied to primitives. Current context is: " + shown(value);
      });
    }
    const auto items = value.items();
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (const Outcome out = accepts(step, items[i], accepted); out != Outcome::kOk) return out;
      if (!accepted) continue;
      if (const Outcome out = run_item(at, items, i); out != Outcome::kOk) return out;
    }
    return Outcome::kOk;
  }

  Outcome accepts(const Step& step, const json::Value& item, bool& accepted) {
    accepted = false;
    if (!step.extra->filter) {
      return fail(Outcome::kInvalid, [] { return std::string("the filter [?] has no predicate"); });
    }
    const Filter& filter = *step.extra->filter;
    if (filter.single && !tracing_) {
      return spend(1) ? holds_plainly(filter.criteria[0], item, accepted) : Outcome::kLimit;
    }
    for (const Criterion& criterion : filter.criteria) {
      if (criterion.begins_group) {
        if (accepted) return Outcome::kOk;  // The group before.
        accepted = true;
      }
      if (!accepted) continue;
      if (!spend(1)) return Outcome::kLimit;
      if (const Outcome out = holds(criterion, item, accepted); out != Outcome::kOk) return out;
    }
    return Outcome::kOk;
  }

  // What an operand is worth: `made` keeps a value that exists nowhere in the document.
  Outcome resolve(const Operand& operand, const json::Value& start, bool all_names, json::Value& made,
                  Side& side) {
    if (operand.kind != Operand::Kind::kPath) {
      side.literal = &operand;
      return Outcome::kOk;
    }
    const Program& program = *operand.path;
    if (program.linear && !tracing_) {
      if (!spend(program.steps.size())) return Outcome::kLimit;
      Outcome out = Outcome::kOk;
      side.value = walk(program, start, out);
      return out;
    }
    Evaluation inner(document_, tracing_);
    inner.all_names_ = all_names;
    inner.steps_left_ = steps_left_;
    const Outcome out = inner.run(program, start);
    steps_left_ = inner.steps_left_;
    message_ = std::move(inner.message_);
    if (out != Outcome::kOk) return out;
    made = std::move(inner.results_.front());
    side.value = &made;
    return Outcome::kOk;
  }

  Outcome holds(const Criterion& criterion, const json::Value& item, bool& truth) {
    if (criterion.plain && !tracing_) return holds_plainly(criterion, item, truth);
    json::Value made_left;
    Side left;
    if (criterion.comparison <= Comparison::kAbsent) {
      // Existence looks below the element even where the path begins with `$`.
      const Outcome out = resolve(criterion.left, item, true, made_left, left);
      if (out != Outcome::kOk && out != Outcome::kNotFound) return out;
      const bool there = out == Outcome::kOk && !left.value->is_null();
      truth = there == (criterion.comparison == Comparison::kExists);
      return Outcome::kOk;
    }
    json::Value made_right;
    Side right;
    truth = false;
    for (const bool is_left : {true, false}) {
      const Operand& operand = is_left ? criterion.left : criterion.right;
      const Outcome out = resolve(operand, operand.from_root ? document_ : item, false,
                                  is_left ? made_left : made_right, is_left ? left : right);
      if (out == Outcome::kNotFound) return Outcome::kOk;
      if (out != Outcome::kOk) return out;
    }
    if (!spend(work_of(left) + work_of(right))) return Outcome::kLimit;
    return settle(compare(criterion.comparison, left, right), truth);
  }

  Outcome holds_plainly(const Criterion& criterion, const json::Value& item, bool& truth) {
    truth = false;
    Outcome out = Outcome::kOk;
    const json::Value& start = criterion.left.from_root ? document_ : item;
    const json::Value* left = walk(*criterion.left.path, start, out);
    if (left == nullptr) return out == Outcome::kNotFound ? Outcome::kOk : out;
    const json::Kind kind = left->kind();
    if (kind == json::Kind::kDouble && criterion.right.plain_number) {
      const double number = left->as_double();
      const double literal = *criterion.right.plain_number;
      truth = is_true(criterion.comparison, literal < number ? -1 : literal > number ? 1 : 0);
      return Outcome::kOk;
    }
    if (kind == json::Kind::kString) {
      const std::string_view text = left->as_string();
      if (!spend(text.size() / kWorkBytesPerStep)) return Outcome::kLimit;
      if (criterion.comparison == Comparison::kEq && criterion.right.text != "null") {
        truth = text == criterion.right.compared_text && text != "null";
        return Outcome::kOk;
      }
    }
    return settle(compare_with_text(criterion.comparison, *left, kind, criterion.right), truth);
  }

  Outcome settle(Verdict verdict, bool& truth) {
    truth = verdict == Verdict::kTrue;
    if (verdict == Verdict::kNotANumber) {
      return fail(Outcome::kInvalid,
                  [] { return std::string("a filter compares a number with text that is no number"); });
    }
    if (verdict == Verdict::kNotAPattern) {
      return fail(Outcome::kInvalid,
                  [] { return std::string("=~ in a filter wants a regular expression, /.../"); });
    }
    return Outcome::kOk;
  }

  static std::size_t work_of(const Side& side) {
    if (side.value == nullptr) return 0;
    if (side.value->is_string()) return side.value->as_string().size() / kWorkBytesPerStep;
    return side.value->size();
  }

  // Follows a linear path without remembering the way.
  const json::Value* walk(const Program& program, const json::Value& root, Outcome& out) {
    return follow(program, root, out,
                  [this](const json::Value& value, const Step& step) { return find_member(value, step); });
  }

  Outcome add_selection(std::size_t at, const json::Value& value) {
    const Step& step = step_at(at);
    if (!value.is_object()) return missing(at, value);
    if (!is_last(at)) {
      return fail(Outcome::kInvalid, [&] {
        return "Multi properties can only be used as path leafs: " + path_text() + step_text(step);
      });
    }
    if (!spend(step.extra->names.size())) return Outcome::kLimit;
    json::ObjectBuilder selection;
    for (const std::string& name : step.extra->names) {
      if (const json::Value* member = value.find(name)) {
        selection.append(name, *member);
      } else if (all_names_) {
        return fail(Outcome::kNotFound,
                    [&] { return "Missing property in path " + path_text() + step_text(step); });
      }
    }
    return add_result(selection.build());
  }

  Outcome missing(std::size_t at, const json::Value& value) {
    if (!value.is_object()) {
      return fail(Outcome::kNotFound,
                  [&] { return "Property " + step_text(step_at(at)) + " not found in path " + path_text(); });
    }
    const bool last = is_last(at);
    if (!last && step_at(at).drop_missing && !all_names_) return Outcome::kOk;
    return fail(Outcome::kNotFound, [&] {
      return (last ? "No results for path: " : "Missing property in path ") + path_text() +
             step_text(step_at(at));
    });
  }

  Outcome no_array(std::size_t at, const json::Value& value) {
    if (value.is_null()) {
      return fail(Outcome::kNotFound, [&] { return "The path " + path_text() + " is null"; });
    }
    return fail(Outcome::kInvalid, [&] {
      return "Filter: " + steps_text(*program_, at) +
             " can only be applied to arrays. Current context is: " + shown(value);
    });
  }

  Outcome out_of_bounds() {
    return fail(Outcome::kNotFound,
                [&] { return "Index out of bounds when evaluating path " + path_text(); });
  }

  template <typename Wording>
  Outcome fail(Outcome outcome, const Wording& wording) {
    if (tracing_) message_ = wording();
    return outcome;
  }

  Outcome add_result(json::Value value) {
    if (results_.size() == kResultsMax) return Outcome::kLimit;
    results_.push_back(std::move(value));
    return Outcome::kOk;
  }

  bool spend(std::size_t steps) {
    if (steps > steps_left_) return false;
    steps_left_ -= steps;
    return true;
  }

  void push_key(std::string_view key) {
    if (tracing_) segments_.push_back({key, 0, false});
  }
  void push(std::int64_t index) {
    if (tracing_) segments_.push_back({{}, index, true});
  }
  Mark mark() const { return {segments_.size(), base_}; }
  void reset(const Mark& to) {
    segments_.resize(to.size);
    base_ = to.base;
  }

  std::string path_text() const {
    std::string out = "$";
    for (std::size_t i = base_; i < segments_.size(); ++i) {
      const Segment& segment = segments_[i];
      if (segment.is_index) {
        out += '[' + std::to_string(segment.index) + ']';
      } else {
        out += "['";
        out += segment.key;
        out += "']";
      }
    }
    return out;
  }

  const json::Value& document_;
  const Program* program_ = nullptr;
  bool tracing_;
  bool all_names_ = false;  // In an existence test every listed name has to be there.
  std::size_t steps_left_ = kStepsMax;
  std::array<std::uint32_t, kSlotCount> places_{};
  std::vector<json::Value> results_;
  std::vector<Segment> segments_;
  std::size_t base_ = 0;  // Where the path for messages begins: a `$` inside a path starts it anew.
  std::string message_;
};

}  // namespace

const json::Value* find_in(const Program& program, const json::Value& root) {
  if (!program.linear) return nullptr;
  Outcome out = Outcome::kOk;
  return follow(program, root, out,
                [](const json::Value& value, const Step& step) { return value.find(step.name); });
}

Result<json::Value> evaluate_program(const Program& program, const json::Value& root) {
  if (const json::Value* found = find_in(program, root)) return *found;
  if (root.is_null()) {
    return Error{std::string(kPathNotFound), "the path " + program.text + " is applied to null", "", ""};
  }
  Evaluation quick(root, false);
  Outcome out = quick.run(program, root);
  if (out == Outcome::kOk) {
    if (!program.definite) return json::Value::array(std::move(quick.results()));
    return std::move(quick.results().front());
  }
  if (out == Outcome::kLimit) return quick.error(out);
  Evaluation traced(root, true);
  out = traced.run(program, root);
  return traced.error(out);
}

}  // namespace sortie::jsonpath
