#include "functions/sandbox.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "io/file.h"

namespace sortie::functions {

namespace {

constexpr int kArgumentsDescriptor = 10, kSeccompDescriptor = 11, kResolvDescriptor = 12;
constexpr int kProbeMs = 10'000;
constexpr const char* kUser = "993";
constexpr const char* kGroup = "990";
constexpr const char* kTask = "/var/task";
constexpr const char* kLanguage = "/var/lang";
constexpr const char* kRuntime = "/var/runtime";
constexpr std::string_view kResolvConf = "/etc/resolv.conf";

// What of /etc a program needs to resolve names, check certificates and tell the time.
constexpr const char* kSystemFiles[] = {"/etc/resolv.conf",
                                        "/etc/hosts",
                                        "/etc/nsswitch.conf",
                                        "/etc/host.conf",
                                        "/etc/gai.conf",
                                        "/etc/services",
                                        "/etc/protocols",
                                        "/etc/ssl",
                                        "/etc/pki",
                                        "/etc/passwd",
                                        "/etc/group",
                                        "/etc/localtime",
                                        "/etc/timezone",
                                        "/etc/ld.so.cache",
                                        "/etc/ld.so.conf",
                                        "/etc/ld.so.conf.d",
                                        "/etc/alternatives",
                                        "/etc/mime.types",
                                        "/etc/os-release",
                                        "/etc/ca-certificates",
                                        "/etc/crypto-policies"};

bool is_below(std::string_view path, std::string_view folder) {
  return path == folder ||
         (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

std::string find_in_path(const std::string& name) {
  const char* path = ::getenv("PATH");
  for (const std::string_view folder : split(path == nullptr ? "/usr/bin:/bin" : path, ':')) {
    const std::string candidate = std::string(folder) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

bool is_executable(const std::string& path) {
  return ::access(path.c_str(), X_OK) == 0 && !io::is_directory(path);
}

// "home = /usr/bin" of a virtual environment names the folder of the interpreter it was made with.
std::string base_prefix(const std::string& venv) {
  const auto text = io::read_file(venv + "/pyvenv.cfg", 64 * 1024);
  if (!text) return "";
  for (const std::string_view line : split(*text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || trim(line.substr(0, equals)) != "home") continue;
    const std::string home(trim(line.substr(equals + 1)));
    return home.substr(0, home.rfind('/'));
  }
  return "";
}

void add(std::vector<std::string>& arguments, std::initializer_list<std::string> more) {
  arguments.insert(arguments.end(), more);
}

}  // namespace

Result<Sandbox> Sandbox::probe(SandboxOptions options) {
  Sandbox sandbox;
  sandbox.options_ = std::move(options);
  const std::string& python = sandbox.options_.python;
  if (const std::size_t bin = python.rfind("/bin/"); bin != std::string::npos) {
    sandbox.python_prefix_ = python.substr(0, bin);
    const std::string base = base_prefix(sandbox.python_prefix_);
    if (!is_below(base, "/usr")) sandbox.python_base_ = base;
  }
  const std::string node = sandbox.options_.node.empty() ? find_in_path("node") : sandbox.options_.node;
  if (const auto real = io::real_path(node); !node.empty() && real) sandbox.node_ = *real;
  if (sandbox.options_.mode == SandboxMode::kOff) {
    sandbox.report_.push_back(
        "functions.sandbox is off: functions run as this user and can read what it can read");
    return sandbox;
  }
  SORTIE_TRY_STATUS(sandbox.find_level());
  return sandbox;
}

Status Sandbox::find_level() {
  std::string reason;
  seccomp_program_ = make_seccomp_program(reason);
  if (seccomp_program_.empty()) report_.push_back("system calls are not filtered: " + reason);
  std::vector<std::string> refusals;
  bubblewrap_ = find_in_path("bwrap");
  if (bubblewrap_.empty()) {
    refusals.push_back("the program bwrap is missing (Debian package bubblewrap)");
  } else {
    // As real root in a container user namespaces may be refused while the others are not.
    struct Variant {
      bool user_namespace, own_proc;
    };
    for (const Variant variant :
         {Variant{true, true}, Variant{false, true}, Variant{true, false}, Variant{false, false}}) {
      if (!variant.user_namespace && ::geteuid() != 0) continue;
      user_namespace_ = variant.user_namespace;
      own_proc_ = variant.own_proc;
      const std::string refused = try_variant({});
      if (refused.empty()) {
        level_ = Level::kNamespaces;
        break;
      }
      refusals.push_back(std::string(variant.user_namespace ? "with" : "without") + " a user namespace" +
                         (variant.own_proc ? "" : ", without /proc") + ": " + refused);
    }
  }
  if (level_ == Level::kNamespaces) {
    report_.insert(report_.begin(),
                   "functions run in bubblewrap with namespaces of their own, a private /tmp and a filter "
                   "for system calls");
    if (!user_namespace_)
      report_.push_back("no user namespace: functions run as this user without capabilities");
    if (!own_proc_) report_.push_back("no /proc of their own can be mounted: functions have none");
    return {};
  }
  if (options_.mode == SandboxMode::kRequired) {
    return Error{
        "SandboxUnavailable",
        "functions.sandbox is required, and bubblewrap cannot run here: " + join(refusals, "; "), "",
        "install bubblewrap and allow unprivileged user namespaces, or set functions.sandbox: preferred"};
  }
  has_landlock_ = io::landlock_version() > 0;
  level_ = has_landlock_ ? Level::kLandlock : Level::kNone;
  report_.push_back("functions run WITHOUT namespaces: bubblewrap cannot run here: " + join(refusals, "; "));
  report_.push_back(has_landlock_
                        ? "Landlock keeps functions out of the data folder and the project"
                        : "the kernel has no Landlock either: functions can read what this user can read");
  return {};
}

std::string Sandbox::try_variant(const SandboxNetwork& network) const {
  io::EventLoop loop;
  io::ChildOptions child;
  std::string arguments;
  SandboxLaunch launch;
  launch.network = network;
  for (const std::string& argument : bubblewrap_arguments(launch, {{"PATH", "/usr/bin:/bin"}})) {
    arguments += argument + '\0';
  }
  child.argv = {bubblewrap_, "--args", std::to_string(kArgumentsDescriptor), "--", "/usr/bin/env", "true"};
  child.environment = {"PATH=/usr/bin:/bin"};
  add_descriptors(child, std::move(arguments), network);
  std::string said;
  std::optional<io::ChildExit> exit;
  auto started = io::ChildProcess::spawn(
      loop, std::move(child),
      {.on_line = [&](io::ChildOutput,
                      std::string_view line) { said += (said.empty() ? "" : " ") + std::string(line); },
       .on_exit = [&](io::ChildExit ended) { exit = ended; }});
  if (!started) return started.error().message;
  if (!loop.run_until([&] { return exit.has_value(); }, kProbeMs)) return "it did not end";
  if (!exit->signalled && exit->code == 0) return "";
  return said.empty() ? "it ended with " + std::to_string(exit->code)
                      : std::string(truncate_utf8(to_valid_utf8(said), 300));
}

void Sandbox::add_descriptors(io::ChildOptions& child, std::string arguments,
                              const SandboxNetwork& network) const {
  child.texts = {{std::move(arguments), kArgumentsDescriptor}};
  if (!seccomp_program_.empty()) child.texts.emplace_back(seccomp_program_, kSeccompDescriptor);
  if (!network.resolv_conf.empty()) child.texts.emplace_back(network.resolv_conf, kResolvDescriptor);
  child.namespaces = network.namespaces;
}

void Sandbox::add_system(std::vector<std::string>& arguments, const SandboxNetwork& network) const {
  add(arguments, {"--ro-bind", "/usr", "/usr"});
  for (const std::string folder : {"/bin", "/sbin", "/lib", "/lib64", "/lib32"}) {
    struct stat status {};
    if (::lstat(folder.c_str(), &status) != 0) continue;
    if (S_ISLNK(status.st_mode)) {
      add(arguments, {"--symlink", "usr" + folder, folder});
    } else {
      add(arguments, {"--ro-bind", folder, folder});
    }
  }
  for (const char* file : kSystemFiles) {
    const bool replaced = !network.resolv_conf.empty() && file == kResolvConf;
    if (!replaced) add(arguments, {"--ro-bind-try", file, file});
  }
  if (!network.resolv_conf.empty())
    add(arguments,
        {"--perms", "0444", "--ro-bind-data", std::to_string(kResolvDescriptor), kResolvConf.data()});
  add(arguments, {"--dev", "/dev", "--remount-ro", "/dev"});
  if (own_proc_) add(arguments, {"--proc", "/proc"});
}

std::vector<std::string> Sandbox::bubblewrap_arguments(
    const SandboxLaunch& launch, const std::map<std::string, std::string>& environment) const {
  std::vector<std::string> arguments = {"--die-with-parent", "--unshare-pid",        "--unshare-ipc",
                                        "--unshare-uts",     "--unshare-cgroup-try", "--hostname",
                                        "sandbox",           "--cap-drop",           "ALL"};
  if (user_namespace_) add(arguments, {"--unshare-user", "--uid", kUser, "--gid", kGroup});
  add_system(arguments, launch.network);
  add(arguments, {"--size", std::to_string(launch.scratch_bytes), "--tmpfs", "/tmp"});
  if (!launch.code_folder.empty()) add(arguments, {"--ro-bind", launch.code_folder, kTask, "--chdir", kTask});
  if (launch.runtime == RuntimeKind::kPython && !python_prefix_.empty() && !launch.code_folder.empty()) {
    add(arguments, {"--ro-bind", python_prefix_, kLanguage});
    if (!python_base_.empty()) add(arguments, {"--ro-bind-try", python_base_, python_base_});
  }
  if (launch.runtime == RuntimeKind::kNode && !launch.code_folder.empty()) {
    add(arguments, {"--ro-bind", node_, std::string(kLanguage) + "/bin/node"});
    add(arguments, {"--ro-bind", options_.node_runtime, std::string(kRuntime) + "/index.mjs"});
  }
  if (launch.layer_folders.size() == 1) {
    add(arguments, {"--ro-bind", launch.layer_folders[0], "/opt"});
  } else {
    for (std::size_t i = 0; i < launch.layer_folders.size(); ++i) {
      add(arguments, {"--ro-bind", launch.layer_folders[i], "/opt/layers/" + std::to_string(i)});
    }
  }
  // Only what lies below a folder that is visible needs hiding.
  for (const std::string& hidden : options_.hidden_folders) {
    const bool visible =
        is_below(hidden, "/usr") || (!python_base_.empty() && is_below(hidden, python_base_));
    if (visible && io::is_directory(hidden)) add(arguments, {"--tmpfs", hidden});
  }
  add(arguments, {"--remount-ro", "/", "--clearenv"});
  for (const auto& [name, value] : environment) add(arguments, {"--setenv", name, value});
  if (!seccomp_program_.empty()) add(arguments, {"--seccomp", std::to_string(kSeccompDescriptor)});
  return arguments;
}

Result<std::vector<std::string>> Sandbox::command(const SandboxLaunch& launch, bool inside) const {
  if (launch.runtime == RuntimeKind::kPython) {
    if (!is_executable(options_.python)) {
      return Error{"RuntimeMissing", "the Python interpreter " + options_.python + " is missing", "",
                   "make the virtual environment (make build), or name another in functions.python"};
    }
    const std::string python =
        inside ? std::string(kLanguage) + options_.python.substr(python_prefix_.size()) : options_.python;
    return std::vector<std::string>{python, "-m", "awslambdaric", launch.handler};
  }
  if (launch.runtime == RuntimeKind::kNode) {
    if (node_.empty()) {
      return Error{"RuntimeMissing", "the program node is missing", "",
                   "install Node.js 18 or newer (Debian package nodejs)"};
    }
    if (!io::path_exists(options_.node_runtime)) {
      return Error{"RuntimeMissing", "the runtime client for Node is missing: " + options_.node_runtime, "",
                   "install it beside the program"};
    }
    if (inside)
      return std::vector<std::string>{std::string(kLanguage) + "/bin/node",
                                      std::string(kRuntime) + "/index.mjs"};
    return std::vector<std::string>{node_, options_.node_runtime};
  }
  const auto usable = [](const std::string& path, const std::string& shown) -> Result<bool> {
    if (!io::path_exists(path)) return false;
    if (is_executable(path)) return true;
    return Error{"Runtime.InvalidEntrypoint", "fork/exec " + shown + ": permission denied", "", ""};
  };
  const std::string own = launch.code_folder + "/bootstrap";
  SORTIE_TRY(const bool in_code, usable(own, "/var/task/bootstrap"));
  if (in_code) return std::vector<std::string>{inside ? std::string(kTask) + "/bootstrap" : own};
  for (std::size_t i = launch.layer_folders.size(); i-- > 0;) {
    const std::string layered = launch.layer_folders[i] + "/bootstrap";
    SORTIE_TRY(const bool in_layer, usable(layered, "/opt/bootstrap"));
    if (!in_layer) continue;
    const std::string folder = launch.layer_folders.size() == 1 ? "/opt" : "/opt/layers/" + std::to_string(i);
    return std::vector<std::string>{inside ? folder + "/bootstrap" : layered};
  }
  return Error{"Runtime.InvalidEntrypoint",
               "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]", "", ""};
}

std::map<std::string, std::string> Sandbox::environment(const SandboxLaunch& launch, bool inside) const {
  std::map<std::string, std::string> environment = launch.environment;
  const std::string task = inside ? kTask : launch.code_folder;
  std::string path = "/usr/local/bin:/usr/bin:/bin", python, node, libraries = task + ":" + task + "/lib";
  for (std::size_t i = launch.layer_folders.size(); i-- > 0;) {  // A later layer goes before an earlier one.
    std::string layer = launch.layer_folders[i];
    if (inside) layer = launch.layer_folders.size() == 1 ? "/opt" : "/opt/layers/" + std::to_string(i);
    path += ":" + layer + "/bin";
    libraries += ":" + layer + "/lib";
    python += (python.empty() ? "" : ":") + layer + "/python";
    node += (node.empty() ? "" : ":") + layer + "/nodejs/node_modules";
  }
  // The function's own values win, except for what tells where things are.
  environment.emplace("PATH", path);
  environment.emplace("HOME", inside ? "/tmp" : launch.scratch_folder);
  environment.emplace("TMPDIR", inside ? "/tmp" : launch.scratch_folder);
  environment.emplace("LANG", "C.UTF-8");
  environment.emplace("TZ", ":UTC");
  environment.emplace("PYTHONDONTWRITEBYTECODE", "1");
  environment.emplace("LD_LIBRARY_PATH", libraries);
  if (!python.empty() && !environment.emplace("PYTHONPATH", python).second)
    environment["PYTHONPATH"] += ":" + python;
  if (!node.empty()) environment.emplace("NODE_PATH", node);
  environment["LAMBDA_TASK_ROOT"] = task;
  environment["LAMBDA_RUNTIME_DIR"] = inside ? kRuntime : launch.code_folder;
  environment["_HANDLER"] = launch.handler;
  return environment;
}

io::LandlockRules Sandbox::landlock_rules(const SandboxLaunch& launch) const {
  io::LandlockRules rules;
  rules.readable = {"/usr",
                    "/bin",
                    "/sbin",
                    "/lib",
                    "/lib64",
                    "/lib32",
                    "/proc",
                    "/dev",
                    "/run/systemd/resolve",
                    launch.code_folder};
  for (const char* file : kSystemFiles) rules.readable.emplace_back(file);
  for (const std::string& layer : launch.layer_folders) rules.readable.push_back(layer);
  for (const std::string& path : {python_prefix_, python_base_, node_, options_.node_runtime}) {
    if (!path.empty()) rules.readable.push_back(path);
  }
  rules.writable = {launch.scratch_folder, "/dev/null",   "/dev/zero",
                    "/dev/full",           "/dev/random", "/dev/urandom"};
  return rules;
}

Result<io::ChildOptions> Sandbox::prepare(const SandboxLaunch& launch) const {
  const bool inside = level_ == Level::kNamespaces;
  SORTIE_TRY(std::vector<std::string> program, command(launch, inside));
  const std::map<std::string, std::string> variables = environment(launch, inside);
  io::ChildOptions child;
  child.marker = launch.marker;
  child.cgroup_procs_file = launch.cgroup_procs_file;
  child.limits = {
      {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, 1024}, {RLIMIT_NPROC, 4096}, {RLIMIT_FSIZE, launch.scratch_bytes}};
  if (inside) {
    // The environment goes through a descriptor: bubblewrap itself must not see a function's LD_PRELOAD, and
    // nobody may read keys off a command line.
    std::string arguments;
    for (const std::string& argument : bubblewrap_arguments(launch, variables)) arguments += argument + '\0';
    child.argv = {bubblewrap_, "--args", std::to_string(kArgumentsDescriptor), "--"};
    child.argv.insert(child.argv.end(), program.begin(), program.end());
    child.environment = {"PATH=/usr/bin:/bin"};
    add_descriptors(child, std::move(arguments), launch.network);
    return child;
  }
  child.argv = std::move(program);
  for (const auto& [name, value] : variables) child.environment.push_back(name + "=" + value);
  child.working_directory = launch.code_folder;
  child.no_new_privileges = true;
  if (options_.mode != SandboxMode::kOff) child.seccomp_program = seccomp_program_;
  if (level_ == Level::kLandlock) child.landlock = landlock_rules(launch);
  return child;
}

}  // namespace sortie::functions
