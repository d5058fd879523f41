#include "cli/installation.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "io/file.h"

namespace sortie::cli {

Installation find_installation() {
  Installation out;
  char path[4096];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  if (size > 0) out.binary.assign(path, static_cast<std::size_t>(size));
  const std::string folder = out.binary.substr(0, out.binary.rfind('/'));
  for (const std::string& share : {folder + "/share/sortie", folder + "/../share/sortie"}) {
    if (out.share.empty() && io::is_directory(share))
      out.share = io::real_path(share).ok() ? *io::real_path(share) : share;
  }
  std::vector<std::string> pythons = {folder + "/venv/bin/python", folder + "/../lib/sortie/venv/bin/python"};
  if (const char* given = std::getenv("SORTIE_PYTHON")) pythons.insert(pythons.begin(), given);
  for (const std::string& python : pythons) {
    // The link itself is kept: an environment is known by the path it is called by.
    if (out.python.empty() && access(python.c_str(), X_OK) == 0) out.python = python;
  }
  if (!out.share.empty()) {
    out.node_runtime = out.share + "/runtimes/node.mjs";
    out.sdk_worker = out.share + "/sdk_worker/worker.py";
  }
  return out;
}

void restart_program() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> words;
  for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const std::string binary = find_installation().binary;
  // Nothing that was open here is wanted there.
  if (words.empty() || close_range(3, ~0U, 0) != 0) return;
  execv(binary.c_str(), arguments.data());
}

}  // namespace sortie::cli
