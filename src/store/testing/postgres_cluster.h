#pragma once
// A PostgreSQL server of a test's own: made by initdb in a temporary folder, reached through a unix socket
// there, gone with the object (and with the process, however that ends). Where PostgreSQL is not installed
// `url` is empty and `missing` says why, so that tests can skip visibly.
//
// PostgreSQL refuses to run as root; then the server runs as the user postgres, or nobody.
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace sortie::store::testing {

class PostgresCluster {
 public:
  // `durable` is for measurements: a commit waits for the disk that `parent` lies on.
  explicit PostgresCluster(std::filesystem::path parent = std::filesystem::temp_directory_path(),
                           bool durable = false)
      : durable_(durable) {
    find_programs();
    if (!missing_.empty()) return;
    std::string pattern = (parent / "sortie-pg-XXXXXX").string();
    folder_ = mkdtemp(pattern.data()) != nullptr ? pattern : "";
    if (user_ != nullptr && chown(folder_.c_str(), uid_, gid_) != 0) missing_ = "no folder for the server";
    if (!run({bin_ + "/initdb", "-D", folder_ + "/data", "-A", "trust", "-U", "sortie", "-E", "UTF8",
              "--locale=C", "--no-sync"})) {
      missing_ = "initdb failed; see " + folder_ + "/log";
      return;
    }
    start();
  }
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;
  ~PostgresCluster() {
    kill_server(SIGQUIT);
    std::error_code ignored;
    if (!folder_.empty() && missing_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  const std::string& missing() const { return missing_; }
  std::string url() const { return "postgres://sortie@/postgres?host=" + folder_; }
  const std::string& folder() const { return folder_; }
  pid_t pid() const { return server_; }

  // Returns when the server takes connections.
  void start() {
    server_ = spawn(
        {bin_ + "/postgres", "-D", folder_ + "/data", "-k", folder_, "-c", "listen_addresses=", "-c",
         // Without it a killed server loses nothing; only a machine without power would.
         durable_ ? "fsync=on" : "fsync=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB"});
    for (int i = 0; i < 600; ++i) {
      if (run({bin_ + "/pg_isready", "-q", "-h", folder_})) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    missing_ = "the server did not start; see " + folder_ + "/log";
  }
  // Stops every process of the server where it is, and lets it go on.
  void freeze(bool frozen) {
    std::string children =
        "/proc/" + std::to_string(server_) + "/task/" + std::to_string(server_) + "/children";
    kill(server_, frozen ? SIGSTOP : SIGCONT);
    std::ifstream list(children);
    for (pid_t child = 0; list >> child;) kill(child, frozen ? SIGSTOP : SIGCONT);
  }

  // SIGTERM waits for clients, SIGINT ends them (a fast shutdown), SIGQUIT dies at once and recovers later.
  void kill_server(int signal) {
    if (server_ <= 0) return;
    kill(server_, signal);
    waitpid(server_, nullptr, 0);
    server_ = 0;
  }

 private:
  void find_programs() {
    for (const char* version : {"17", "16", "15", "14", "13"}) {
      std::string bin = std::string("/usr/lib/postgresql/") + version + "/bin";
      if (bin_.empty() && access((bin + "/initdb").c_str(), X_OK) == 0) bin_ = bin;
    }
    if (bin_.empty()) missing_ = "PostgreSQL is not installed (postgresql-15)";
    if (geteuid() != 0) return;
    for (const char* name : {"postgres", "nobody"}) {
      const passwd* found = user_ == nullptr ? getpwnam(name) : nullptr;
      if (found == nullptr) continue;
      user_ = name;
      uid_ = found->pw_uid;
      gid_ = found->pw_gid;
    }
    if (user_ == nullptr) missing_ = "no user to run PostgreSQL as";
  }

  pid_t spawn(const std::vector<std::string>& command) const {
    std::vector<char*> arguments;
    for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
    arguments.push_back(nullptr);
    std::string log = folder_ + "/log";
    std::fflush(stdout);  // Else the child tells what waits in the buffer a second time.
    pid_t child = fork();
    if (child != 0) return child;
    if (user_ != nullptr && (setgroups(0, nullptr) != 0 || setgid(gid_) != 0 || setuid(uid_) != 0))
      _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (chdir("/") != 0 || freopen(log.c_str(), "a", stdout) == nullptr) _exit(126);
    dup2(fileno(stdout), 2);
    execv(arguments[0], arguments.data());
    _exit(127);
  }

  bool run(const std::vector<std::string>& command) const {
    int status = -1;
    waitpid(spawn(command), &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  const bool durable_;
  std::string bin_, folder_, missing_;
  const char* user_ = nullptr;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  pid_t server_ = 0;
};

// One for all tests of a program that only need some server.
inline PostgresCluster& shared_cluster() {
  static PostgresCluster cluster;
  return cluster;
}

}  // namespace sortie::store::testing
