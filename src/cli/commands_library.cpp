// The library that comes with the program: `library list` tells what is in it, `library add` copies parts of
// it into a project, where they are the user's own files from then on. A playbook brings the rules that start
// it and the functions it calls; a function brings the code that functions share, as the layer _lib.
#include <algorithm>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/config.h"
#include "cli/exit_code.h"
#include "cli/installation.h"
#include "io/file.h"
#include "json/members.h"
#include "json/yaml.h"

namespace sortie::cli {
namespace library {

constexpr std::string_view kPlaybookEnding = ".asl.json";
constexpr int kDepthMax = 8;
// What the shipped files are written for; a project's own account and region take their place.
constexpr std::string_view kShippedAccount = "123456789012", kShippedRegion = "us-east-1";

struct Library {
  std::string folder;
  std::set<std::string> functions, playbooks, rules;
};

Result<Library> open_library() {
  Library out;
  out.folder = find_installation().share;
  if (out.folder.empty() || !io::path_exists(out.folder + "/functions")) {
    return Error{"NotFound", "the library is missing beside the program", "",
                 "run `make build`, or `make install`"};
  }
  SORTIE_TRY(const auto functions, io::list_directory(out.folder + "/functions"));
  for (const io::DirectoryEntry& entry : functions) {
    if (entry.is_directory && !entry.name.starts_with("_")) out.functions.insert(entry.name);
  }
  SORTIE_TRY(const auto playbooks, io::list_directory(out.folder + "/playbooks"));
  for (const io::DirectoryEntry& entry : playbooks) {
    if (!entry.name.ends_with(kPlaybookEnding)) continue;
    out.playbooks.insert(entry.name.substr(0, entry.name.size() - kPlaybookEnding.size()));
  }
  SORTIE_TRY(const auto rules, io::list_directory(out.folder + "/playbooks/rules"));
  for (const io::DirectoryEntry& entry : rules) out.rules.insert(entry.name);
  return out;
}

std::string described(const std::string& path, std::string_view member) {
  const Result<std::string> text = io::read_file(path);
  if (!text) return "";
  const Result<json::YamlDocument> document = json::parse_yaml(*text);
  return document ? json::text_member(document->value, member) : "";
}

// One run of `library add`: what it writes, and where it must not.
class Adding {
 public:
  Adding(const Library& library, Config config, std::string project)
      : library_(library), config_(std::move(config)), project_(std::move(project)) {}

  Status add(const std::string& name) {
    if (library_.functions.contains(name)) return add_function(name, true);
    if (library_.playbooks.contains(name)) return add_playbook(name);
    return Error{"NotFound", "the library has no " + name, "", "sortie library list tells what it has"};
  }
  const std::vector<std::string>& written() const { return written_; }

 private:
  // What is there already is the user's; as a part of something else it is simply used.
  Status add_function(const std::string& name, bool is_asked_for) {
    const std::string place = "functions/" + name;
    if (io::path_exists(project_ + "/" + place)) {
      if (!is_asked_for || is_new(place)) return {};
      return Error{"AlreadyExists", place + " is already there", "", "remove it to get the library's"};
    }
    SORTIE_TRY_STATUS(copy_tree(library_.folder + "/" + place, place, kDepthMax));
    written_.push_back(place);
    if (is_new("layers/_lib")) return {};
    written_.emplace_back("layers/_lib");
    return copy_tree(library_.folder + "/functions/_lib", "layers/_lib/python", kDepthMax);
  }

  Status add_playbook(const std::string& name) {
    const std::string place = "playbooks/" + name + std::string(kPlaybookEnding);
    if (io::path_exists(project_ + "/" + place)) {
      return Error{"AlreadyExists", place + " is already there", "", "remove it to get the library's"};
    }
    SORTIE_TRY(const std::string text, io::read_file(library_.folder + "/" + place));
    SORTIE_TRY_STATUS(write(place, text));
    for (const std::string& function : library_.functions) {
      if (text.find(":function:" + function + "\"") == std::string::npos) continue;
      SORTIE_TRY_STATUS(add_function(function, false));
    }
    for (const std::string& rule : library_.rules) {
      SORTIE_TRY(const std::string rule_text, io::read_file(library_.folder + "/playbooks/rules/" + rule));
      if (rule_text.find(":stateMachine:" + name + "\n") == std::string::npos) continue;
      if (!io::path_exists(project_ + "/rules/" + rule)) SORTIE_TRY_STATUS(write("rules/" + rule, rule_text));
    }
    return {};
  }

  Status write(const std::string& place, const std::string& text) {
    SORTIE_TRY_STATUS(io::make_directories(project_ + "/" + place.substr(0, place.rfind('/'))));
    SORTIE_TRY_STATUS(io::write_file_atomically(project_ + "/" + place, localized(text), 0644));
    written_.push_back(place);
    return {};
  }

  std::string localized(const std::string& text) const {
    return replace_all(replace_all(text, kShippedAccount, config_.account), kShippedRegion, config_.region);
  }

  Status copy_tree(const std::string& from, const std::string& place, int depth) {
    if (depth == 0) return {};
    SORTIE_TRY_STATUS(io::make_directories(project_ + "/" + place));
    SORTIE_TRY(const auto entries, io::list_directory(from));
    for (const io::DirectoryEntry& entry : entries) {
      if (entry.is_link || entry.name == "__pycache__") continue;
      const std::string source = from + "/" + entry.name, target = place + "/" + entry.name;
      if (entry.is_directory) {
        SORTIE_TRY_STATUS(copy_tree(source, target, depth - 1));
        continue;
      }
      SORTIE_TRY(const std::string text, io::read_file(source));
      const std::string mine = entry.name == "function.yaml" ? localized(text) : text;
      SORTIE_TRY_STATUS(io::write_file_atomically(project_ + "/" + target, mine, 0644));
    }
    return {};
  }

  bool is_new(const std::string& place) const {
    return std::find(written_.begin(), written_.end(), place) != written_.end();
  }

  const Library& library_;
  Config config_;
  std::string project_;
  std::vector<std::string> written_;
};

}  // namespace library

int library_list(const OutputOptions& output) {
  const Result<library::Library> found = library::open_library();
  if (!found) return report(found.error());
  std::vector<json::Value> rows;
  const auto add = [&rows](const char* kind, const std::string& name, const std::string& description) {
    rows.push_back(json::Value::object({{"kind", kind}, {"name", name}, {"description", description}}));
  };
  for (const std::string& name : found->playbooks) {
    const std::string file = found->folder + "/playbooks/" + name + std::string(library::kPlaybookEnding);
    add("playbook", name, library::described(file, "Comment"));
  }
  for (const std::string& name : found->functions) {
    const std::string file = found->folder + "/functions/" + name + "/function.yaml";
    add("function", name, library::described(file, "description"));
  }
  return print_rows(rows, {{"kind", "KIND"}, {"name", "NAME"}, {"description", "DESCRIPTION"}}, "name",
                    output);
}

int library_add(const std::vector<std::string>& names, const std::string& project) {
  const Result<library::Library> found = library::open_library();
  if (!found) return report(found.error());
  const std::string folder = project.empty() ? "." : project;
  if (!io::path_exists(folder + "/sortie.yaml")) {
    return report(
        {"NotFound", folder + " is no project: it has no sortie.yaml", "404", "make one with sortie init"});
  }
  library::Adding adding(*found, load_config(folder).config, folder);
  int code = kOk;
  for (const std::string& name : names) {
    if (const Status status = adding.add(name); !status) code = report(status.error());
  }
  for (const std::string& place : adding.written()) print_line(place);
  return code;
}

}  // namespace sortie::cli
