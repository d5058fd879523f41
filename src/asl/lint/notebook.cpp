#include "asl/lint/notebook.h"

#include <algorithm>

#include "base/text.h"

namespace sortie::asl {
namespace {

constexpr LintRule kRules[] = {
    {"A01", FindingSeverity::kError, "Path into the array that Parallel or Map makes",
     "Keep the input with ResultPath on the Parallel or Map, or pick the branch by index: \"$[0].field\"."},
    {"A02", FindingSeverity::kWarning, "Callback without timeout",
     "Set TimeoutSeconds (or HeartbeatSeconds) and catch States.Timeout."},
    {"A03", FindingSeverity::kWarning, "Answer of an approval is never tested",
     "Add a Choice on the approval's result, so that a rejection takes another way than an approval."},
    {"A04", FindingSeverity::kError, "Disruptive action without an approval before it",
     "Put an approval on every path to the action, and a Choice that lets only an approval through."},
    {"A05", FindingSeverity::kWarning, "Parallel with side effects and no Catch",
     "Catch errors inside each branch or on the Parallel, so that one failure does not abort the others."},
    {"A06", FindingSeverity::kWarning, "Task without Retry",
     "Add Retry for throttling and service errors, or set defaults.retry in sortie.yaml."},
    {"A07", FindingSeverity::kWarning, "Literal contradicts the path taken",
     "Read the value from the input instead of writing it down, or use a state of its own for each path."},
    {"A08", FindingSeverity::kError, "Resource is no runnable action",
     "Name an integration such as arn:aws:states:::sns:publish and give it its Parameters."},
    {"A09", FindingSeverity::kWarning, "Result replaces input that is needed later",
     "Give the earlier state a ResultPath (\"$.name\", or null to drop the result)."},
    {"A10", FindingSeverity::kWarning, "Function returns errors as data",
     "Let the function raise, or test what it returned in a Choice."},
    {"A11", FindingSeverity::kWarning, "Action cannot be repeated or undone safely",
     "Make the action idempotent and let it record what it changed, so that it can be undone."},
    {"A12", FindingSeverity::kError, "Path or variable that cannot be there",
     "Correct the path, or add the value to the state's input before it is read."},
    {"A13", FindingSeverity::kWarning, "Error name that never occurs",
     "Use a name that the States Language defines, such as States.ALL or States.TaskFailed."},
    {"A14", FindingSeverity::kWarning, "Retrier or catcher that is never reached",
     "Put the special errors before the general ones: the first entry that names an error decides."},
    {"A15", FindingSeverity::kWarning, "Retry that outlasts the execution",
     "Lower MaxAttempts, or bound the wait with MaxDelaySeconds and the whole with TimeoutSeconds."},
    {"A16", FindingSeverity::kWarning, "Path or expression taken as text",
     "End the member's name in \".$\" (JSONPath), or write the whole value as \"{% ... %}\" (JSONata)."},
    {"A17", FindingSeverity::kError, "Task token that nobody gets",
     "Pass $$.Task.Token (in JSONata $states.context.Task.Token) to whoever has to answer."},
    {"A18", FindingSeverity::kError, "No way to an end",
     "Let some way lead to a state with End, or to Succeed or Fail."},
    {"A19", FindingSeverity::kWarning, "Choice without Default",
     "Add a Default; a Fail state says better than States.NoChoiceMatched what was unexpected."},
    {"A20", FindingSeverity::kWarning, "Variable that nobody reads",
     "Remove it, or read it where it was meant to be read."},
};

const LintRule& rule_of(std::string_view code) {
  const auto* found = std::find_if(std::begin(kRules), std::end(kRules),
                                   [&](const LintRule& rule) { return rule.code == code; });
  return found == std::end(kRules) ? kRules[0] : *found;
}

}  // namespace

std::vector<LintRule> lint_rules() { return {std::begin(kRules), std::end(kRules)}; }

namespace analysis {
namespace {

std::string listed(const std::set<std::string>& words) {
  return join(std::vector<std::string>(words.begin(), words.end()), ", ");
}

// What a finding says, in pieces: @ is the state, # what was noted, % the state that made the data.
struct Sentence {
  std::string_view code, text;
};
constexpr Sentence kSentences[] = {
    {"A01", "'@' reads #, but the output of % is an array"},
    {"A02", "'@' waits for a callback without TimeoutSeconds or HeartbeatSeconds"},
    {"A03", "no Choice tests the answer of '@': approve and reject take the same way"},
    {"A04", "@"},  // Put together by merge(), like A06.
    {"A05", "'@' has side effects and no Catch: one failing branch (#) aborts the others"},
    {"A06", "@"},
    {"A07", "'@' says #"},
    {"A08", "'@': #"},
    {"A09", "'@' reads #, but the result of % has replaced the input"},
    {"A10", "'@' calls #, which returns errors as data, and no Choice looks at them"},
    {"A11", "'@': #"},
    {"A12", "'@' reads #, which is not there on a way that leads to it"},
    {"A13", "'@': #"},
    {"A14", "'@': # is never reached, an earlier entry takes the same errors"},
    {"A15", "'@' may retry (#) for longer than the year that an execution lasts"},
    {"A16", "'@' hands on the text \"#\", not what it refers to"},
    {"A17", "'@' waits for a callback, but its parameters do not hold the task token"},
    {"A18", "no way leads from '@' to an end"},
    {"A19", "if no rule of '@' holds, the execution fails with States.NoChoiceMatched"},
    {"A20", "'@' assigns #, and nobody reads it"},
};

std::string sentence(std::string_view code, const std::string& state, const std::string& details,
                     const std::string& maker) {
  const auto* found = std::find_if(std::begin(kSentences), std::end(kSentences),
                                   [&](const Sentence& entry) { return entry.code == code; });
  if (found == std::end(kSentences)) return state;
  std::string out;
  for (const char c : found->text) {
    if (c == '@') {
      out += state;
    } else if (c == '#') {
      out += details;
    } else if (c == '%') {
      out += maker;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

void Notebook::note(std::string_view code, std::size_t state, std::string detail, const std::string& pointer,
                    std::size_t maker, bool is_proof) {
  Note& note = notes_[Key(code, state)];
  if (note.pointer.empty() || (is_proof && !note.is_proof)) {
    note.pointer = pointer.empty() ? survey_.states[state].pointer : pointer;
  }
  if (!detail.empty()) note.details.insert(std::move(detail));
  if (maker != SIZE_MAX) note.maker = maker;
  note.is_proof = note.is_proof || is_proof;
}

Finding Notebook::make_finding(const std::string& code, std::size_t state, const Note& note) const {
  const std::string& name = survey_.states[state].state->name;
  const std::string made_by =
      note.maker == SIZE_MAX ? "an earlier state" : "'" + survey_.states[note.maker].state->name + "'";
  const std::string message = sentence(code, name, listed(note.details), made_by);
  const LintRule& rule = rule_of(code);
  return {.code = code,
          .severity = rule.severity,
          .message = message,
          .pointer = note.pointer,
          .cure = std::string(rule.cure),
          .related = {}};
}

// Many states, one advice: the first is the place, the others stand beside it.
void Notebook::merge(std::string_view code, std::vector<std::pair<std::size_t, Finding>>& found) const {
  std::vector<std::string> names;
  const auto is_other = [&](const auto& entry) { return entry.second.code != code; };
  const auto first = std::find_if_not(found.begin(), found.end(), is_other);
  if (first == found.end()) return;
  std::pair<std::size_t, Finding> merged = *first;
  for (const auto& [place, finding] : found) {
    if (finding.code != code) continue;
    if (!names.empty()) merged.second.related.push_back(finding.pointer);
    names.push_back(finding.message);
  }
  const std::string count = std::to_string(names.size());
  const std::string list = join(names, ", ");
  if (code == "A04") {
    merged.second.message = count +
                            (names.size() == 1 ? " disruptive action runs" : " disruptive actions run") +
                            " without an approval on every path before: " + list;
  } else {
    merged.second.message = count + (names.size() == 1 ? " Task has" : " Tasks have") + " no Retry: " + list;
  }
  std::erase_if(found, [&](const auto& entry) { return entry.second.code == code; });
  found.push_back(std::move(merged));
}

std::vector<Finding> Notebook::take() {
  std::vector<std::pair<std::size_t, Finding>> found;
  for (const auto& [key, note] : notes_) {
    if (note.is_proof) found.emplace_back(key.second, make_finding(key.first, key.second, note));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  merge("A04", found);
  merge("A06", found);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second.code < b.second.code;
  });
  std::vector<Finding> out;
  out.reserve(found.size());
  for (auto& [place, finding] : found) out.push_back(std::move(finding));
  return out;
}

}  // namespace analysis
}  // namespace sortie::asl
