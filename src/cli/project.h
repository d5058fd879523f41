#pragma once
// A project folder's playbooks, rules and policies, read and checked; functions are read by functions/
// itself. One broken file is told with file, line and cure, and the rest is used.
#include <string>
#include <vector>

#include "asl/lint/lint.h"
#include "base/result.h"
#include "cli/config.h"
#include "events/model.h"
#include "response/policy.h"

namespace sortie::cli {

struct Playbook {
  std::string name;
  std::string file;
  std::string definition;  // With defaults.retry where a Task has none: what is put in force.
};

struct Project {
  std::vector<Playbook> playbooks;
  std::vector<events::Rule> rules;
  // Keys of rules and names of playbooks whose files are there and wrong: what is in force of them stays in
  // force.
  std::vector<std::string> broken_rules, broken_playbooks;
  bool is_complete = true;  // Everything could be looked at: what is not here is really gone.
  response::ApprovalConfig approvals;
  std::vector<Error> problems;
  // Changes when any file does: names, sizes and times of all that was read.
  std::string fingerprint;
};

Project load_project(const Config& config);
// Cheap: what the fingerprint would be now.
std::string project_fingerprint(const std::string& folder);

// The project folder that a file of playbooks/ or tests/ lies in; empty: none.
std::string project_folder_of(const std::string& file);

// What lint may know from the project: approvals, defaults, and of functions what function.yaml says under
// `behaviour` or the code shows.
asl::LintKnowledge lint_knowledge(const Config& config);
// Whether Python or JavaScript answers a status code from 400 on out of an except or catch: an error that no
// Retry and no Catch ever sees. Looks at lines and indentation, not more.
bool returns_errors_as_data(std::string_view code);

// "incident-response" from "incident-response.asl.json"; empty for files that are no playbook.
std::string playbook_name(const std::string& file_name);

}  // namespace sortie::cli
