#include "cli/installation.h"

#include <unistd.h>

#include <cstdlib>
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

}  // namespace sortie::cli
