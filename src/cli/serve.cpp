#include "cli/serve.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "cli/exit_code.h"
#include "cli/log.h"

namespace sortie::cli {
namespace serve_process {

// Shells and services begin with 1,024, which a few idle connections would use up; the kernel allows more to
// whoever asks.
void raise_descriptor_limit() {
  constexpr rlim_t kWanted = 65'536;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= kWanted) return;
  limit.rlim_cur = std::min(limit.rlim_max, kWanted);
  setrlimit(RLIMIT_NOFILE, &limit);
}

// For the one person of `sortie dev`: a link into the console. Where there is nobody yet, whoever runs the
// program is made a person of the group "admins".
void print_login_link(ServerApp& app) {
  const Actor actor{Actor::Kind::kSystem, "dev", "", "cli", ""};
  const auto print = [&app, actor](const std::string& name) {
    app.people().make_login_link(name, actor, [&app, name](const Result<response::LoginLink>& link) {
      if (!link) return log(LogLevel::kError, "login link", link.error());
      std::fprintf(stderr, "console, as %s (once, within 10 minutes): %s/login#%s\n", name.c_str(),
                   app.url().c_str(), link->token.c_str());
    });
  };
  const std::vector<response::Person> people = app.people().list();
  const char* user = std::getenv("USER");
  const std::string name = user != nullptr && *user != '\0' ? user : "dev";
  if (app.people().find(name) != nullptr) return print(name);
  if (!people.empty()) return print(people.front().name);
  app.people().add(name, {"admins"}, actor, [print](const Result<response::NewPerson>& made) {
    if (!made) return log(LogLevel::kError, "person", made.error());
    print(made->person.name);
  });
}

}  // namespace serve_process

int serve(const ServeOptions& options, bool with_login_link) {
  using namespace serve_process;
  signal(SIGPIPE, SIG_IGN);
  raise_descriptor_limit();
  if (!options.listen.empty()) {
    if (const Result<HostPort> where = parse_listen(options.listen); !where) {
      report(where.error());
      return kUsage;
    }
  }
  io::EventLoop loop;
  Result<std::unique_ptr<ServerApp>> app = ServerApp::make(loop, options);
  if (!app) return report(app.error());
  int code = kOk;
  bool draining = false;
  const bool is_service = !with_login_link && isatty(STDIN_FILENO) == 0;
  loop.on_signals({SIGTERM, SIGINT, SIGHUP}, [&](int number) {
    if (number == SIGHUP && is_service) return (*app)->reload();
    if (draining) return loop.stop();
    draining = true;
    log(LogLevel::kInfo, "stopping");
    (*app)->drain([&loop] { loop.stop(); });
  });
  (*app)->start([&](const Status& status) {
    if (!status) {
      code = report(status.error());
      return loop.stop();
    }
    std::printf("listening on %s\n", (*app)->url().c_str());
    std::fflush(stdout);
    if (with_login_link) print_login_link(**app);
  });
  bool lost = false;
  (*app)->on_lost([&] {
    lost = true;
    loop.stop();
  });
  loop.run();
  if (lost && !draining) {
    log(LogLevel::kWarning, "another node took over what this one owned; it starts again");
    app->reset();
    restart_program();
    return kFailed;
  }
  return code;
}

}  // namespace sortie::cli
