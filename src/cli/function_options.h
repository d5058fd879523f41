#pragma once
// What sortie.yaml says about functions, as their service takes it: the same for the server and for `sortie
// doctor`.
//
// Off loopback the sandbox is required. Where it is, functions see of this machine's loopback only what
// functions.network.allow lists; elsewhere everything, because that is where local endpoints and tests are.
#include "cli/config.h"
#include "cli/installation.h"
#include "functions/function_service.h"

namespace sortie::cli {

// Without data folder, hidden folders and credentials. `loopback`: the server listens there only.
functions::FunctionServiceOptions function_options(const Config& config, const Installation& installation,
                                                   bool loopback);

}  // namespace sortie::cli
