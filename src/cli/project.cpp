#include "cli/project.h"

#include "asl/compile.h"
#include "base/hash.h"
#include "events/route.h"
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

void read_playbooks(const Config& config, Project& project) {
  const std::string folder = config.folder + "/playbooks";
  for (const io::DirectoryEntry& entry : files_of(folder)) {
    const std::string name = playbook_name(entry.name);
    if (name.empty() || entry.is_directory) continue;
    const std::string file = folder + "/" + entry.name;
    Result<std::string> text = io::read_file(file, kProjectFileBytesMax);
    if (!text) {
      project.problems.push_back(text.error());
      continue;
    }
    const asl::Compilation made = asl::compile(*text, {asl::MachineType::kStandard, config.strict});
    for (const asl::Diagnostic& diagnostic : made.diagnostics) {
      if (diagnostic.severity != asl::Diagnostic::Severity::kError) continue;
      std::string place = file;
      if (const auto at = json::find_position(*text, diagnostic.pointer)) {
        place += ":" + std::to_string(at->line) + ":" + std::to_string(at->column);
      }
      project.problems.push_back({diagnostic.code, diagnostic.message, place, ""});
    }
    if (made.ok()) project.playbooks.push_back({name, file, std::move(text).value()});
  }
}

void read_rules(const Config& config, Project& project) {
  const std::string folder = config.folder + "/rules";
  for (const io::DirectoryEntry& entry : files_of(folder)) {
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
      error.place = file + (error.place.empty() ? "" : ", " + error.place);
      project.problems.push_back(std::move(error));
      project.broken_rules.push_back(file_rule.key());
      continue;
    }
    Result<events::Rule> rule = events::parse_rule_file(document->value, file_rule.name);
    if (!rule) {
      Error error = rule.error();
      std::string place = file;
      const auto at = document->places.find(error.place);
      if (at != document->places.end()) place += ":" + std::to_string(at->second.line);
      error.place = place;
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
      const auto at = document->places.find(in_pattern ? "/EventPattern" : "/Targets");
      const std::string line = at == document->places.end() ? "" : ":" + std::to_string(at->second.line);
      project.problems.push_back(
          {compiled.error().code, compiled.error().message, file + line, compiled.error().hint});
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
    read_playbooks(config, project);
    read_rules(config, project);
  }
  read_policies(config, project);
  return project;
}

}  // namespace sortie::cli
