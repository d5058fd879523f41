#include "cli/function_options.h"

#include <cstdlib>

namespace sortie::cli {

namespace function_wiring {
namespace {

functions::SandboxMode sandbox_mode(const Config& config, bool loopback) {
  if (config.sandbox == "required") return functions::SandboxMode::kRequired;
  if (config.sandbox == "off") return functions::SandboxMode::kOff;
  if (config.sandbox == "preferred" || loopback) return functions::SandboxMode::kPreferred;
  return functions::SandboxMode::kRequired;
}

functions::NetworkOptions network(const Config& config, bool sandbox_required) {
  using Mode = functions::NetworkOptions::Mode;
  functions::NetworkOptions out;
  if (config.network_mode == "host") out.mode = Mode::kHost;
  if (config.network_mode == "isolated") out.mode = Mode::kIsolated;
  const std::string fallback = sandbox_required ? "listed" : "open";
  out.whole_loopback = (config.network_loopback.empty() ? fallback : config.network_loopback) == "open";
  for (const std::string& place : config.network_allow) {
    const char* value = place.starts_with("env:") ? std::getenv(place.c_str() + 4) : place.c_str();
    if (value != nullptr) out.allow.emplace_back(value);
  }
  return out;
}

}  // namespace
}  // namespace function_wiring

functions::FunctionServiceOptions function_options(const Config& config, const Installation& installation,
                                                   bool loopback) {
  functions::FunctionServiceOptions options;
  options.account = config.account;
  options.region = config.region;
  options.further_accounts.insert(config.accounts.begin(), config.accounts.end());
  options.aws_endpoint_url = config.endpoint_url;
  options.python = installation.python;
  options.node_runtime = installation.node_runtime;
  options.sandbox = function_wiring::sandbox_mode(config, loopback);
  options.network = function_wiring::network(config, options.sandbox == functions::SandboxMode::kRequired);
  options.workers_max = config.workers_max;
  options.function_concurrency_max = config.function_concurrency_max;
  return options;
}

}  // namespace sortie::cli
