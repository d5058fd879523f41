#include "cli/completion.h"

#include "base/text.h"
#include "cli/exit_code.h"
#include "cli/output.h"

namespace sortie::cli {
namespace {

// bash and zsh (through bashcompinit) share one function: the longest known command decides what may follow.
std::string bash_script(const std::vector<CompletionWord>& words) {
  std::string out =
      "_sortie() {\n"
      "  local cur=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" next=\"\" i w\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    w=\"${COMP_WORDS[i]}\"\n"
      "    case \"$w\" in -*) continue ;; esac\n"
      "    case \"${path:+$path }$w\" in\n";
  std::vector<std::string> commands;
  for (const CompletionWord& word : words) {
    if (!word.path.empty()) commands.push_back("\"" + word.path + "\"");
  }
  out += "      " + join(commands, "|") +
         ") path=\"${path:+$path }$w\" ;;\n    esac\n  done\n  case \"$path\" in\n";
  for (const CompletionWord& word : words) {
    out += "    \"" + word.path + "\") next=\"" + join(word.next, " ") + "\" ;;\n";
  }
  return out +
         "  esac\n  COMPREPLY=($(compgen -W \"$next\" -- \"$cur\"))\n}\ncomplete -o default -F _sortie "
         "sortie\n";
}

std::string fish_script(const std::vector<CompletionWord>& words) {
  std::string out;
  for (const CompletionWord& word : words) {
    for (const std::string& next : word.next) {
      const std::vector<std::string_view> steps = split(word.path, ' ');
      std::string condition = word.path.empty() ? "__fish_use_subcommand"
                                                : "__fish_seen_subcommand_from " + std::string(steps.back());
      out += "complete -c sortie -n '" + condition + "' ";
      out += next.starts_with("--") ? "-l " + next.substr(2) : "-f -a " + next;
      out += "\n";
    }
  }
  return out;
}

}  // namespace

int print_completion(const std::string& shell, const std::vector<CompletionWord>& words) {
  if (shell == "fish") {
    print_line(fish_script(words));
  } else {
    if (shell == "zsh") print_line("autoload -U +X bashcompinit && bashcompinit");
    print_line(bash_script(words));
  }
  return kOk;
}

}  // namespace sortie::cli
