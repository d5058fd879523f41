#include "functions/function_folder.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "io/file.h"

namespace sortie::functions {

namespace {

constexpr std::size_t kDepthMax = 32;

struct FoundFile {
  std::string path;  // Relative.
  io::DirectoryEntry entry;
};

// Files in order of their names, without caches. Stops at kFolderFilesMax.
void collect(const std::string& root, const std::string& below, std::size_t depth,
             std::vector<FoundFile>& files) {
  const auto entries = io::list_directory(below.empty() ? root : root + "/" + below);
  if (!entries || depth > kDepthMax) return;
  for (const io::DirectoryEntry& entry : *entries) {
    if (files.size() >= kFolderFilesMax) return;
    if (entry.name == "__pycache__" || entry.name == ".git") continue;
    const std::string path = below.empty() ? entry.name : below + "/" + entry.name;
    files.push_back({path, entry});
    if (entry.is_directory) collect(root, path, depth + 1, files);
  }
}

bool infer_runtime(const std::string& folder, FunctionConfig& config) {
  if (io::path_exists(folder + "/lambda_function.py")) {
    config.runtime = "python3.11";
    config.handler = "lambda_function.lambda_handler";
  } else if (io::path_exists(folder + "/index.mjs") || io::path_exists(folder + "/index.js")) {
    config.runtime = "nodejs20.x";
    config.handler = "index.handler";
  } else if (io::path_exists(folder + "/bootstrap")) {
    config.runtime = "provided.al2023";
    config.handler = "bootstrap";
  } else {
    return false;
  }
  return true;
}

// "module.handler" and "package/module.handler" name a file; a missing one is better told before the call.
Status check_handler(const FunctionConfig& config, const std::string& folder, const std::string& file) {
  const auto wrong = [&](std::string message, std::string hint) {
    return Error{"InvalidFunction", std::move(message), file + ":1:1", std::move(hint)};
  };
  if (config.runtime_kind() == RuntimeKind::kProvided) {
    if (io::path_exists(folder + "/bootstrap") || !config.layers.empty()) return {};
    return wrong("runtime " + config.runtime + " needs an executable file named bootstrap",
                 "add it to " + folder);
  }
  const std::size_t dot = config.handler.rfind('.');
  if (dot == std::string::npos || dot == 0) {
    return wrong("handler \"" + config.handler + "\" names no function",
                 "write MODULE.FUNCTION, e.g. lambda_function.lambda_handler");
  }
  const std::string module = config.handler.substr(0, dot);
  if (config.runtime_kind() == RuntimeKind::kPython) {
    const std::string base = folder + "/" + replace_all(module, ".", "/");
    if (io::path_exists(base + ".py") || io::is_directory(base) || !config.layers.empty()) return {};
    return wrong("handler \"" + config.handler + "\" needs the file " + module + ".py, which is missing",
                 "add it to " + folder);
  }
  for (const char* ending : {".js", ".mjs", ".cjs"}) {
    if (io::path_exists(folder + "/" + module + ending)) return {};
  }
  if (!config.layers.empty()) return {};
  return wrong(
      "handler \"" + config.handler + "\" needs the file " + module + ".mjs or .js, which is missing",
      "add it to " + folder);
}

}  // namespace

Result<FunctionConfig> read_function_folder(const std::string& folder, const std::string& name) {
  const std::string file = folder + "/function.yaml";
  if (Status status = check_function_name(name); !status) {
    return Error{"InvalidFunction", "the folder's name is no function name", folder,
                 "use letters, digits, - and _, at most 64"};
  }
  FunctionConfig config;
  if (io::path_exists(file)) {
    SORTIE_TRY(const std::string text, io::read_file(file, 1024 * 1024));
    SORTIE_TRY(config, parse_function_yaml(text, file));
  } else if (!infer_runtime(folder, config)) {
    return Error{"InvalidFunction", folder + " holds no function", folder,
                 "add a function.yaml, or lambda_function.py with a lambda_handler"};
  }
  config.name = name;
  config.origin = "project";
  SORTIE_TRY(config.code_folder, io::real_path(folder));
  const std::string layers = folder.substr(0, folder.rfind('/')) + "/../layers/";
  for (std::string& layer : config.layers) {
    const bool plain = layer.find('/') == std::string::npos && layer != "..";
    const auto path = io::real_path(layers + layer);
    if (!plain || !path || !io::is_directory(*path)) {
      return Error{"InvalidFunction", "layer \"" + layer + "\" is missing", file + ":1:1",
                   "put it into the folder layers/" + layer +
                       " beside functions/ (python/, nodejs/, bin/, lib/ inside)"};
    }
    layer = *path;
  }
  SORTIE_TRY_STATUS(check_handler(config, folder, io::path_exists(file) ? file : folder));
  return config;
}

std::string folder_fingerprint(const std::string& folder) {
  std::vector<FoundFile> files;
  collect(folder, "", 0, files);
  std::string text;
  for (const FoundFile& file : files) {
    // A folder's own time changes with caches that come and go, a file's only with the file.
    const std::int64_t time = file.entry.is_directory ? 0 : file.entry.modified_ns;
    text += file.path + '\0' + std::to_string(file.entry.is_directory ? 0 : file.entry.size) + ' ' +
            std::to_string(file.entry.mode) + ' ' + std::to_string(time) + '\n';
  }
  return sha256_hex(text);
}

std::string folder_code_sha256(const std::string& folder, std::uint64_t& bytes) {
  std::vector<FoundFile> files;
  collect(folder, "", 0, files);
  std::string text;
  bytes = 0;
  for (const FoundFile& file : files) {
    if (file.entry.is_directory || file.entry.is_link) continue;
    const auto content = io::read_file(folder + "/" + file.path, kUnzippedBytesMax);
    if (!content) continue;
    bytes += content->size();
    text += file.path + '\0' + sha256_hex(*content) + '\n';
    if (bytes > kUnzippedBytesMax) break;
  }
  return base64_encode(digest(Digest::kSha256, text));
}

Result<std::map<std::string, std::string>> resolve_environment(const FunctionConfig& config) {
  std::map<std::string, std::string> resolved = config.environment;
  // Only the project's own files may name secrets of the server; for the Lambda API a value is just a value.
  if (config.origin != "project") return resolved;
  const std::string place = config.code_folder + "/function.yaml";
  for (auto entry = resolved.begin(); entry != resolved.end();) {
    auto& [name, value] = *entry;
    // A question mark at its end: what is not there is left out.
    const bool may_lack = value.ends_with('?');
    const std::string reference = value.substr(0, value.size() - (may_lack ? 1 : 0));
    bool is_absent = false;
    if (reference.starts_with("env:")) {
      const char* found = ::getenv(reference.substr(4).c_str());
      if (found == nullptr && !may_lack) {
        return Error{"InvalidFunction",
                     "environment " + name + ": the server's environment has no " + reference.substr(4),
                     place, "set it before the server starts, or write " + value + "? if it may be missing"};
      }
      is_absent = found == nullptr;
      if (found != nullptr) value = found;
    } else if (reference.starts_with("file:")) {
      std::string path = reference.substr(5);
      if (!path.starts_with('/')) path = config.code_folder + "/" + path;
      is_absent = may_lack && !io::path_exists(path);
      auto content = is_absent ? Result<std::string>(std::string()) : io::read_file(path, 64 * 1024);
      if (!content)
        return Error{"InvalidFunction", "environment " + name + ": " + content.error().message, place,
                     "make the file readable"};
      value = std::string(trim(*content));
    }
    entry = is_absent ? resolved.erase(entry) : std::next(entry);
  }
  return resolved;
}

}  // namespace sortie::functions
