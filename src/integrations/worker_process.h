#pragma once
// The AWS worker as a child process: its stdin and stdout are one end of a socket pair, its stderr goes line
// by line to `log`. The child and all it starts are killed when the link is destroyed, and die with us.
#include <functional>
#include <string>
#include <vector>

#include "integrations/sdk_worker.h"
#include "io/event_loop.h"

namespace sortie::integrations {

struct WorkerProcessOptions {
  std::string python;                    // build/venv/bin/python
  std::string script;                    // .../sdk_worker/worker.py
  std::vector<std::string> environment;  // "NAME=value": PATH, HOME, AWS_*; nothing else is inherited.
  std::function<void(std::string_view line)> log;
};

WorkerFactory make_worker_factory(io::EventLoop& loop, WorkerProcessOptions options);

}  // namespace sortie::integrations
