#include "cli/playbook_tests.h"

#include <cstdio>
#include <map>

#include "asl/default_retry.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/exit_code.h"
#include "cli/output.h"
#include "cli/project.h"
#include "engine/testing/driver.h"
#include "io/file.h"
#include "json/yaml.h"

namespace sortie::cli {
namespace {

using engine::testing::TaskCall;

// Members of `expected` have to be in `actual`, recursively; anything else has to be equal.
bool contains(const json::Value& actual, const json::Value& expected) {
  if (!expected.is_object()) return actual == expected;
  for (const json::Member& member : expected.members()) {
    const json::Value* found = actual.find(member.key.as_string());
    if (found == nullptr || !contains(*found, member.value)) return false;
  }
  return true;
}

std::string status_text(engine::Outcome outcome) {
  switch (outcome) {
    case engine::Outcome::kRunning:
      return "RUNNING";
    case engine::Outcome::kSucceeded:
      return "SUCCEEDED";
    case engine::Outcome::kFailed:
      return "FAILED";
    case engine::Outcome::kTimedOut:
      return "TIMED_OUT";
    case engine::Outcome::kAborted:
      return "ABORTED";
  }
  return "";
}

std::string text_or_json(const json::Value& value) {
  return value.is_string() ? value.to_std_string() : json::to_text(value);
}

class OneTest {
 public:
  OneTest(const std::string& definition, const json::Value& test)
      : test_(test), driver_(definition, test.get("input"), world()) {}

  // What is wrong; empty: the test passed.
  std::string run() {
    if (!driver_.compile_error.empty()) return driver_.compile_error;
    driver_.run();
    if (!unmocked_.empty()) return "state '" + unmocked_ + "' is a task and has no mock";
    return check(test_.get("expect"));
  }

 private:
  engine::testing::World world() {
    return [this](const TaskCall& call) -> std::optional<engine::Stimulus> {
      const json::Value& answers = test_.get("mock").get(call.state_name);
      if (answers.empty()) {
        if (unmocked_.empty()) unmocked_ = call.state_name;
        return engine::Stimulus(engine::TaskFailed{call.attempt, "States.Runtime", "no mock"});
      }
      const std::size_t turn = std::min<std::size_t>(turns_[call.state_name]++, answers.size() - 1);
      const json::Value& answer = answers[turn];
      if (const json::Value* thrown = answer.find("throw")) {
        return engine::Stimulus(
            engine::TaskFailed{call.attempt, text_or_json(thrown->get("error")),
                               thrown->has("cause") ? text_or_json(thrown->get("cause")) : ""});
      }
      if (answer.get("never").is_bool()) return std::nullopt;  // Only a timeout moves it on.
      return engine::Stimulus(engine::TaskSucceeded{call.attempt, answer.get("return")});
    };
  }

  std::vector<std::string> entered() const {
    std::vector<std::string> names;
    for (const engine::HistoryEvent& event : driver_.events) {
      if (!engine::event_type_name(event.type).ends_with("StateEntered")) continue;
      names.push_back(event.find(engine::Field::kName)->to_std_string());
    }
    return names;
  }

  std::string check(const json::Value& expect) const {
    const engine::Execution& done = driver_.execution;
    const std::string status = status_text(done.outcome);
    if (expect.has("status") && text_or_json(expect.get("status")) != status) {
      return "status is " + status +
             (done.error ? " (" + *done.error + ": " + done.cause.value_or("") + ")" : "");
    }
    if (expect.has("output") && !contains(done.output, expect.get("output"))) {
      return "output is " + json::to_text(done.output);
    }
    if (expect.has("error") && done.error.value_or("") != text_or_json(expect.get("error"))) {
      return "error is '" + done.error.value_or("") + "'";
    }
    const std::vector<std::string> names = entered();
    std::size_t at = 0;
    for (const json::Value& state : expect.get("path").items()) {
      while (at < names.size() && names[at] != text_or_json(state)) ++at;
      if (at++ == names.size()) return "'" + text_or_json(state) + "' was not entered in that order";
    }
    for (const json::Value& state : expect.get("not_path").items()) {
      if (std::find(names.begin(), names.end(), text_or_json(state)) != names.end()) {
        return "'" + text_or_json(state) + "' was entered";
      }
    }
    return "";
  }

  const json::Value& test_;
  std::string unmocked_;
  std::map<std::string, std::size_t> turns_;
  engine::testing::Driver driver_;
};

// playbooks/NAME.asl.* beside the tests folder, or the path itself.
Result<std::string> find_definition(const std::string& test_file, const std::string& playbook) {
  const std::size_t slash = test_file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : test_file.substr(0, slash);
  for (const std::string& base : {folder + "/../playbooks/", folder + "/../", folder + "/"}) {
    for (const char* ending : {".asl.json", ".asl.yaml", ".asl.yml", ""}) {
      const std::string path = base + playbook + ending;
      if (io::path_exists(path) && !io::is_directory(path)) return io::read_file(path);
    }
  }
  return Error{"NotFound", test_file + ": the playbook '" + playbook + "' is nowhere", "404", ""};
}

}  // namespace

int run_playbook_tests(const std::vector<std::string>& given) {
  std::vector<std::string> files = given;
  if (files.empty()) {
    const auto entries = io::list_directory("tests");
    if (!entries) return report(entries.error());
    for (const io::DirectoryEntry& entry : *entries) {
      if (entry.name.ends_with(".test.yaml") || entry.name.ends_with(".test.yml"))
        files.push_back("tests/" + entry.name);
    }
  }
  int passed = 0, failed = 0;
  for (const std::string& file : files) {
    const Result<std::string> text = io::read_file(file, 4 * 1024 * 1024);
    const Result<json::YamlDocument> document =
        text ? json::parse_yaml(*text) : Result<json::YamlDocument>(text.error());
    if (!document) return report(document.error());
    const json::Value& playbook = document->value.get("playbook");
    if (!playbook.is_string())
      return report({"InvalidTest", file + " names no playbook", "", "write `playbook: NAME`"});
    const Result<std::string> written = find_definition(file, playbook.to_std_string());
    if (!written) return report(written.error());
    const std::string definition =
        asl::with_default_retry(*written, load_config(project_folder_of(file)).config.default_retry).text;
    for (const json::Value& test : document->value.get("tests").items()) {
      const std::string wrong = OneTest(definition, test).run();
      ++(wrong.empty() ? passed : failed);
      print_line((wrong.empty() ? "ok    " : "wrong ") + file + ": " + shown(text_or_json(test.get("name"))) +
                 (wrong.empty() ? "" : ": " + shown(wrong)));
    }
  }
  std::fprintf(stderr, "%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? kOk : kFindings;
}

}  // namespace sortie::cli
