#pragma once
// Shell completion, made from the commands themselves.
#include <string>
#include <vector>

namespace sortie::cli {

struct CompletionWord {
  std::string path;               // "" is the program, "run start" a command.
  std::vector<std::string> next;  // What may follow: sub-commands and options.
  std::string help;
};

int print_completion(const std::string& shell, const std::vector<CompletionWord>& words);

}  // namespace sortie::cli
