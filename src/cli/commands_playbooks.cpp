// playbook lint, graph, publish.
#include <sys/stat.h>

#include <cstdio>

#include "asl/default_retry.h"
#include "asl/graph.h"
#include "asl/lint/render.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/exit_code.h"
#include "cli/installation.h"
#include "cli/project.h"
#include "io/file.h"

namespace sortie::cli {
namespace playbook_commands {

// Writes defaults.retry into a file where Tasks lack one. `text` is what the file says afterwards.
Status fix_file(const std::string& file, const Config& config, std::string* text) {
  if (config.default_retry.is_null()) {
    return Error{"NothingToWrite", "there is no defaults.retry to write into " + file,
                 config.file.empty() ? "" : config.file,
                 "set defaults.retry in the sortie.yaml of the playbook's project"};
  }
  if (!asl::compile(*text).ok()) return {};  // Lint says what is wrong with it.
  asl::DefaultRetryText fixed = asl::with_default_retry(*text, config.default_retry);
  if (fixed.states.empty()) return {};
  if (fixed.is_reprinted) {
    return Error{"CannotEdit", file + " cannot be edited without printing it anew; it is left as it is", "",
                 "write Retry into these Tasks by hand: " + join(fixed.states, ", ")};
  }
  struct stat found {};
  const unsigned mode = ::stat(file.c_str(), &found) == 0 ? found.st_mode & 07777U : 0644U;
  SORTIE_TRY_STATUS(io::write_file_atomically(file, fixed.text, mode));
  std::fprintf(stderr, "%s: Retry written into %s\n", file.c_str(), shown(join(fixed.states, ", ")).c_str());
  *text = std::move(fixed.text);
  return {};
}

}  // namespace playbook_commands

int playbook_lint(const PlaybookLint& what) {
  std::vector<asl::LintedFile> linted;
  bool has_findings = false;
  for (const std::string& file : what.files) {
    Result<std::string> text = read_input(file);
    if (!text) return report(text.error());
    const Config config = load_config(project_folder_of(file)).config;
    if (what.fix) {
      if (const Status fixed = playbook_commands::fix_file(file, config, &*text); !fixed) {
        return report(fixed.error());
      }
    }
    linted.push_back(asl::lint_file(file, *std::move(text), {asl::MachineType::kStandard, config.strict},
                                    lint_knowledge(config)));
    has_findings = has_findings || !linted.back().findings.empty() || !linted.back().diagnostics.empty();
  }
  const std::string text = what.format == "json"    ? asl::render_lint_json(linted)
                           : what.format == "sarif" ? asl::render_lint_sarif(linted, kVersion)
                                                    : asl::render_lint_text(linted);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return has_findings ? kFindings : kOk;
}

int playbook_graph(const std::string& file, const std::string& format) {
  const Result<std::string> text = read_input(file);
  if (!text) return report(text.error());
  const asl::Graph graph = asl::make_graph(*text);
  if (graph.nodes.empty()) {
    return report(
        {"InvalidDefinition", file + " has no states to draw", "", "`sortie playbook lint` says why"});
  }
  const std::string out = format == "mermaid" ? asl::render_graph_mermaid(graph)
                          : format == "dot"   ? asl::render_graph_dot(graph)
                                              : asl::render_graph_text(graph);
  std::fwrite(out.data(), 1, out.size(), stdout);
  return kOk;
}

int playbook_publish(const Common& common, const std::string& file, const std::string& role) {
  const Result<std::string> text = read_input(file);
  if (!text) return report(text.error());
  std::string name = file.substr(file.rfind('/') + 1);
  for (const char* ending : {".asl.json", ".asl.yaml", ".asl.yml", ".json", ".yaml", ".yml"}) {
    if (name.ends_with(ending)) {
      name.resize(name.size() - std::string_view(ending).size());
      break;
    }
  }
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  json::ObjectBuilder body;
  body.append("definition", *text);
  if (!role.empty()) body.append("role_arn", role);
  const Result<json::Value> done = client->post("/v1/playbooks/" + percent_encode(name), body.build());
  if (!done) return report(done.error());
  print_object(*done, "arn", common.output);
  return kOk;
}

}  // namespace sortie::cli
