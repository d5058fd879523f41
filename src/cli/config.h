#pragma once
// sortie.yaml: the one configuration file of a project. Every key is optional; unknown keys are errors,
// because a misspelt security setting must not be silently ignored. Errors name file, line and column and say
// what to write. Sections that another floor owns (approvals, hooks) are handed on as they are, with their
// places.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "json/yaml.h"

namespace sortie::cli {

struct Config {
  std::string file;    // Path of sortie.yaml; empty without one.
  std::string folder;  // The project folder; empty without one.
  json::YamlDocument document;

  // "FILE:LINE:COLUMN" of what the JSON pointer names, or of the nearest thing around it.
  std::string place_of(std::string pointer) const;

  std::string account = "123456789012";
  std::string region = "us-east-1";
  std::string endpoint_url;           // The AWS account that tasks and functions act on; empty: real AWS.
  std::vector<std::string> accounts;  // Further accounts, each with keys of its own.
  bool strict = false;                // compatibility: strict
  std::string data_folder;            // Empty: .sortie of the project or current folder.
  std::string listen = "127.0.0.1:8420";
  std::vector<std::string> hosts;  // Further names that browsers may call us by.
  std::string public_url;          // Where people reach the console, for links; empty: where we listen.
  std::vector<std::string>
      private_hosts;                     // Reached by http:invoke at private addresses and without TLS, too.
  bool allow_plain_http = false;         // listen off loopback without TLS.
  std::string tls_certificate, tls_key;  // PEM files.
  std::string sandbox;                   // required, preferred, off; empty: by the listen address.
  int workers_max = 64;
  int function_concurrency_max = 32;
  std::string network_mode = "private";    // private, isolated, host
  std::string network_loopback;            // open, listed; empty: by sandbox and listen address.
  std::vector<std::string> network_allow;  // HOST:PORT, URL or env:NAME
  std::vector<std::string> event_sources;  // aws.* sources that account keys may put; people always may.
  bool metrics_open = false;               // /metrics without a token on loopback.
  std::string metrics_token;               // env:NAME or file:PATH
  std::string traces_endpoint;             // Base URL of an OpenTelemetry collector (OTLP/HTTP); empty: none.
  std::string traces_token;                // env:NAME or file:PATH; its bearer token.
  json::Value default_retry;               // defaults.retry: of Tasks without one; null: none.
  std::int64_t keep_executions_ms = 90LL * 24 * 3600 * 1000;
  std::int64_t keep_events_ms = 90LL * 24 * 3600 * 1000;
};

// Reads FOLDER/sortie.yaml if it is there; all mistakes are returned together, and what is right is kept.
struct LoadedConfig {
  Config config;
  std::vector<Error> problems;
};
LoadedConfig load_config(const std::string& folder);

// "env:NAME" and "file:PATH" (relative to the project folder) to what they name. Error code "SecretMissing".
Result<std::string> resolve_secret(const std::string& reference, const std::string& folder);

// What --store was given: a URL, or env:NAME or file:PATH that hold one.
Result<std::string> resolve_store_url(const std::string& given, const std::string& folder);

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  bool is_loopback() const;
};
Result<HostPort> parse_listen(const std::string& text);

}  // namespace sortie::cli
