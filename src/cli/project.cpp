#include "cli/project.h"

#include <algorithm>

#include "asl/compile.h"
#include "asl/default_retry.h"
#include "asl/source.h"
#include "base/hash.h"
#include "base/text.h"
#include "events/route.h"
#include "functions/function_folder.h"
#include "io/file.h"
#include "json/text.h"
#include "json/yaml.h"

namespace sortie::cli {
namespace {

constexpr std::size_t kProjectFileBytesMax = 2 * 1024 * 1024;

bool is_yaml(const std::string& name) { return name.ends_with(".yaml") || name.ends_with(".yml"); }

std::vector<io::DirectoryEntry> files_of(const std::string& folder) {
  Result<std::vector<io::DirectoryEntry>> entries = io::list_directory(folder);
  return entries ? std::move(entries).value() : std::vector<io::DirectoryEntry>();
}

// "FILE:LINE:COLUMN" of what the pointer names, or of the nearest thing around it.
std::string place_of(const json::YamlDocument& document, const std::string& file, std::string pointer) {
  for (; !pointer.empty(); pointer.resize(std::min(pointer.size(), pointer.rfind('/')))) {
    const auto found = document.places.find(pointer);
    if (found == document.places.end()) {
      if (!pointer.starts_with("/")) break;
      continue;
    }
    return file + ":" + std::to_string(found->second.line) + ":" + std::to_string(found->second.column);
  }
  return file + ":1:1";
}

// Missing folders hold nothing; one that is there and cannot be read makes the project incomplete.
std::vector<io::DirectoryEntry> files_of(const std::string& folder, Project& project) {
  Result<std::vector<io::DirectoryEntry>> entries = io::list_directory(folder);
  if (entries) return std::move(entries).value();
  if (io::path_exists(folder)) {
    project.problems.push_back(entries.error());
    project.is_complete = false;
  }
  return {};
}

void read_playbooks(const Config& config, Project& project) {
  const std::string folder = config.folder + "/playbooks";
  for (const io::DirectoryEntry& entry : files_of(folder, project)) {
    const std::string name = playbook_name(entry.name);
    if (name.empty() || entry.is_directory) continue;
    const std::string file = folder + "/" + entry.name;
    Result<std::string> text = io::read_file(file, kProjectFileBytesMax);
    if (!text) {
      project.problems.push_back(text.error());
      project.broken_playbooks.push_back(name);
      continue;
    }
    const asl::Compilation made = asl::compile(*text, {asl::MachineType::kStandard, config.strict});
    for (const asl::Diagnostic& diagnostic : made.diagnostics) {
      if (diagnostic.severity != asl::Diagnostic::Severity::kError) continue;
      const json::Position at = asl::DefinitionSource(*text).position(diagnostic.pointer);
      project.problems.push_back({diagnostic.code, diagnostic.message,
                                  file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
                                  ""});
    }
    if (made.ok()) {
      project.playbooks.push_back({name, file, asl::with_default_retry(*text, config.default_retry).text});
    } else {
      project.broken_playbooks.push_back(name);
    }
  }
}

void read_rules(const Config& config, Project& project) {
  const std::string folder = config.folder + "/rules";
  for (const io::DirectoryEntry& entry : files_of(folder, project)) {
    if (entry.is_directory || (!is_yaml(entry.name) && !entry.name.ends_with(".json"))) continue;
    const std::string file = folder + "/" + entry.name;
    events::Rule file_rule;  // By its file's name, which is all that is known of a broken one.
    file_rule.account = config.account;
    file_rule.name = entry.name.substr(0, entry.name.rfind('.'));
    const Result<std::string> text = io::read_file(file, kProjectFileBytesMax);
    const Result<json::YamlDocument> document =
        text ? json::parse_yaml(*text) : Result<json::YamlDocument>(text.error());
    if (!document) {
      Error error = document.error();
      error.place = json::place_in_file(file, error.place);
      project.problems.push_back(std::move(error));
      project.broken_rules.push_back(file_rule.key());
      continue;
    }
    Result<events::Rule> rule = events::parse_rule_file(document->value, file_rule.name);
    if (!rule) {
      Error error = rule.error();
      error.place = place_of(*document, file, error.place);
      project.problems.push_back(std::move(error));
      project.broken_rules.push_back(file_rule.key());
      continue;
    }
    rule->account = config.account;
    rule->arn = events::rule_arn(config.account, config.region, rule->bus, rule->name);
    rule->origin = "project";
    // Patterns, schedules and transformers are read here already, so that a mistake names its file.
    if (const auto compiled = events::compile_rule(*rule); !compiled) {
      const bool in_pattern = compiled.error().code == "InvalidEventPatternException";
      project.problems.push_back({compiled.error().code, compiled.error().message,
                                  place_of(*document, file, in_pattern ? "/EventPattern" : "/Targets"),
                                  compiled.error().hint});
      project.broken_rules.push_back(rule->key());
      continue;
    }
    project.rules.push_back(std::move(rule).value());
  }
}

void read_policies(const Config& config, Project& project) {
  const std::string folder = config.folder + "/policies";
  for (const io::DirectoryEntry& entry : files_of(folder)) {
    if (entry.is_directory || !is_yaml(entry.name)) continue;
    const std::string file = folder + "/" + entry.name;
    const Result<std::string> text = io::read_file(file, kProjectFileBytesMax);
    if (!text) {
      project.problems.push_back(text.error());
      continue;
    }
    for (Error& error : response::read_policy_file(*text, file, project.approvals)) {
      project.problems.push_back(std::move(error));
    }
  }
  for (Error& error :
       response::read_approvals_section(config.document, "/approvals", config.file, project.approvals)) {
    project.problems.push_back(std::move(error));
  }
  for (Error& error : response::check_references(project.approvals, config.file)) {
    project.problems.push_back(std::move(error));
  }
}

}  // namespace

std::string project_folder_of(const std::string& file) {
  const std::size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  for (const std::string& candidate : {folder, folder + "/.."}) {
    if (io::path_exists(candidate + "/sortie.yaml")) return candidate;
  }
  return "";
}

std::string playbook_name(const std::string& file_name) {
  for (const char* ending : {".asl.json", ".asl.yaml", ".asl.yml"}) {
    if (file_name.ends_with(ending) && file_name.size() > std::string(ending).size()) {
      return file_name.substr(0, file_name.size() - std::string(ending).size());
    }
  }
  return "";
}

std::string project_fingerprint(const std::string& folder) {
  std::string all;
  for (const char* part : {"", "/playbooks", "/rules", "/policies"}) {
    for (const io::DirectoryEntry& entry : files_of(folder + part)) {
      if (entry.is_directory) continue;
      all += entry.name + "|" + std::to_string(entry.size) + "|" + std::to_string(entry.modified_ns) + "\n";
    }
  }
  return sha256_hex(all);
}

Project load_project(const Config& config) {
  Project project;
  if (!config.folder.empty()) {
    project.fingerprint = project_fingerprint(config.folder);
    project.is_complete = io::is_directory(config.folder);
    read_playbooks(config, project);
    read_rules(config, project);
  }
  read_policies(config, project);
  return project;
}

namespace {

// The file that the handler is in, as far as one can tell.
std::string code_of(const std::string& folder, const std::string& handler) {
  const std::string module = handler.substr(0, handler.rfind('.'));
  for (const char* ending : {".py", ".mjs", ".js", ".cjs"}) {
    if (Result<std::string> text = io::read_file(folder + "/" + module + ending, kProjectFileBytesMax)) {
      return std::move(text).value();
    }
  }
  return "";
}

}  // namespace

bool returns_errors_as_data(std::string_view code) {
  std::size_t handler_indent = std::string_view::npos;  // Of the `except` or `catch` that the line is below.
  bool returns = false;
  for (const std::string_view raw : split(code, '\n')) {
    const std::string_view line = trim(raw);
    if (line.empty() || line.starts_with("#") || line.starts_with("//")) continue;
    const auto indent = static_cast<std::size_t>(line.data() - raw.data());
    if (handler_indent != std::string_view::npos && indent <= handler_indent && !line.starts_with("}")) {
      handler_indent = std::string_view::npos;
    }
    const bool is_handler = line.starts_with("except") || line.starts_with("catch") ||
                            line.find("} catch") != std::string_view::npos;
    if (is_handler) {
      handler_indent = indent;
      returns = false;
    }
    if (handler_indent == std::string_view::npos) continue;
    returns = returns || line.find("return") != std::string_view::npos;
    const std::size_t word = line.find("statusCode");
    const std::size_t digit = word == std::string_view::npos ? word : line.find_first_of("0123456789", word);
    if (returns && digit != std::string_view::npos && (line[digit] == '4' || line[digit] == '5')) return true;
  }
  return false;
}

asl::LintKnowledge lint_knowledge(const Config& config) {
  asl::LintKnowledge knowledge;
  if (config.folder.empty()) return knowledge;
  for (const io::DirectoryEntry& entry : files_of(config.folder + "/functions")) {
    const Result<functions::FunctionConfig> function =
        functions::read_function_folder(config.folder + "/functions/" + entry.name, entry.name);
    if (!entry.is_directory || !function) continue;  // Whoever runs it is told what is wrong with it.
    const functions::Behaviour& said = function->behaviour;
    asl::FunctionFacts& facts = knowledge.functions[entry.name];
    facts = {said.is_disruptive,          said.is_irreversible, said.is_read_only,
             said.returns_errors_as_data, said.is_idempotent,   said.records_undo};
    if (!facts.swallows_errors && returns_errors_as_data(code_of(function->code_folder, function->handler))) {
      facts.swallows_errors = true;
    }
  }
  knowledge.has_default_retry = !config.default_retry.is_null();
  for (const response::ApprovalQueue& queue : load_project(config).approvals.queues) {
    knowledge.approval_queues.push_back(queue.queue.substr(queue.queue.find_last_of("/:") + 1));
  }
  return knowledge;
}

}  // namespace sortie::cli
