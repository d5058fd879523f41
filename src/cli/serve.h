#pragma once
// `sortie serve` and `sortie dev` as a process: its signals, its limits, its exit code.
//
// SIGTERM and SIGINT drain, a second one ends at once. SIGHUP reads the project again, as a service's reload
// does; where a terminal is the other side, it has gone away, and the server drains.
#include "cli/server_app.h"

namespace sortie::cli {

// Answers the exit code.
int serve(const ServeOptions& options, bool with_login_link);

}  // namespace sortie::cli
