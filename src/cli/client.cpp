#include "cli/client.h"

#include <cstdio>
#include <cstdlib>

#include "base/text.h"
#include "cli/exit_code.h"
#include "io/file.h"
#include "io/http_client.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

Error error_of_answer(const io::HttpResponse& response) {
  const Result<json::Value> body = json::parse(response.body);
  Error error{"HttpError", "the server answered " + std::to_string(response.status), "", ""};
  if (response.status == 401 || response.status == 403) error.code = "NotAuthorised";
  if (response.status == 404) error.code = "NotFound";
  if (!body) return error;
  const json::Value& told = body->get("error");
  if (told.get("code").is_string()) error.code = told.get("code").to_std_string();
  if (told.get("message").is_string()) error.message = told.get("message").to_std_string();
  if (told.get("hint").is_string()) error.hint = told.get("hint").to_std_string();
  if (response.status == 401) {
    error.place = "401";
  } else if (response.status == 403) {
    error.place = "403";
  } else if (response.status == 404) {
    error.place = "404";
  }
  return error;
}

}  // namespace

int exit_code_of(const Error& error) {
  if (error.place == "401" || error.place == "403" || error.code == "NotAuthorised" ||
      error.code == "NotAuthorizedForSourceException") {
    return kNotAuthorised;
  }
  if (error.place == "404" || error.code == "NotFound") return kNotFound;
  if (error.code == "PlanChanged") return kPlanChanged;
  if (error.code == "Usage") return kUsage;
  if (error.code == "Timeout") return kTimedOut;
  return kFailed;
}

int report(const Error& error) {
  Error shown = error;
  if (shown.place == "401" || shown.place == "403" || shown.place == "404") shown.place.clear();
  std::fprintf(stderr, "sortie: %s", shown.message.c_str());
  if (!shown.place.empty()) std::fprintf(stderr, " (%s)", shown.place.c_str());
  std::fprintf(stderr, "\n");
  if (!shown.hint.empty()) std::fprintf(stderr, "        %s\n", shown.hint.c_str());
  return exit_code_of(error);
}

std::string data_folder_of(const std::string& given) { return given.empty() ? ".sortie" : given; }

Result<Client> Client::connect(const ClientOptions& options) {
  Client client;
  client.url_ = options.server;
  const char* const named = std::getenv("SORTIE_SERVER");
  if (client.url_.empty() && options.data_folder.empty() && named != nullptr) client.url_ = named;
  const std::string folder = data_folder_of(options.data_folder);
  if (client.url_.empty()) {
    const Result<std::string> text = io::read_file(folder + "/server.json");
    const Result<json::Value> value = text ? json::parse(*text) : Result<json::Value>(text.error());
    if (!value || !value->get("url").is_string()) {
      return Error{"ServerNotFound", "no server is known: " + folder + "/server.json cannot be read", "",
                   "start one with `sortie serve`, or name it by --server, SORTIE_SERVER or --data"};
    }
    client.url_ = value->get("url").to_std_string();
  }
  while (client.url_.ends_with('/')) client.url_.pop_back();
  if (const char* token = std::getenv("SORTIE_TOKEN"); token != nullptr && *token != '\0') {
    client.token_ = token;
    client.has_person_ = true;
  } else if (const Result<std::string> kept = io::read_file(folder + "/operator.token")) {
    client.token_ = std::string(trim(*kept));
  }
  return client;
}

void Client::add_headers(io::HttpClientRequest& request, const char* accepted) const {
  request.headers.add("Accept", accepted);
  request.headers.add("X-Sortie-Client", "cli");  // The channel that the audit trail names.
  if (!token_.empty()) request.headers.add("Authorization", "Bearer " + token_);
}

Result<io::HttpResponse> Client::exchange(const std::string& method, const std::string& path,
                                          const json::Value* body) const {
  io::HttpClientRequest request;
  request.method = method;
  request.url = url_ + path;
  add_headers(request, "application/json");
  if (body != nullptr) {
    request.headers.add("Content-Type", "application/json");
    request.body = json::to_text(*body);
  }
  request.response_bytes_max = 64 * 1024 * 1024;
  const Result<io::HttpResponse> response = io::fetch_blocking(request);
  if (!response) {
    Error error = response.error();
    error.message = "the server at " + url_ + " cannot be reached: " + error.message;
    if (error.hint.empty()) error.hint = "is it running? start it with `sortie serve`";
    return error;
  }
  if (response->status >= 400) {
    Error error = error_of_answer(*response);
    if (response->status == 401 && token_.empty()) {
      error.hint = "set SORTIE_TOKEN to the token that `sortie user add` printed";
    }
    return error;
  }
  return response;
}

Result<json::Value> Client::send(const std::string& method, const std::string& path,
                                 const json::Value* body) const {
  SORTIE_TRY(const io::HttpResponse response, exchange(method, path, body));
  if (response.body.empty()) return json::Value();
  return json::parse(response.body);
}

Result<std::string> Client::get_text(const std::string& path, std::string* next) const {
  io::HttpClientRequest request;
  request.url = url_ + path;
  add_headers(request, "application/json");
  request.response_bytes_max = 64 * 1024 * 1024;
  SORTIE_TRY(io::HttpResponse response, io::fetch_blocking(request));
  if (response.status >= 400) return error_of_answer(response);
  *next = std::string(response.headers.get("X-Sortie-Next"));
  return std::move(response.body);
}

Status Client::stream(const std::string& path, const std::function<bool(std::string_view)>& on_line) const {
  io::HttpClientRequest request;
  request.url = url_ + path;
  add_headers(request, "text/event-stream");
  request.timeout_ms = 0;
  const Result<io::HttpResponse> response = io::fetch_blocking(request, on_line);
  if (!response) return response.error();
  if (response->status >= 400) return error_of_answer(*response);
  return {};
}

}  // namespace sortie::cli
