#pragma once
// The command line's way to a server: where it is, who one is there, and JSON requests.
//
// The server is found by --server, SORTIE_SERVER, or the data folder's server.json. The token is
// SORTIE_TOKEN, or the data folder's operator.token: whoever can read that file may administer, but a
// decision always needs a person.
#include <functional>
#include <string>

#include "base/result.h"
#include "io/http_client.h"
#include "json/value.h"

namespace sortie::cli {

struct ClientOptions {
  std::string server;
  std::string data_folder;  // Empty: .sortie in the current folder.
};

// The data folder that a command means: as given, or .sortie in the current folder.
std::string data_folder_of(const std::string& given);

class Client {
 public:
  // Error "ServerNotFound" with what to do.
  static Result<Client> connect(const ClientOptions& options);

  // `path` begins with /v1/. Errors carry the server's code, message and hint.
  Result<json::Value> get(const std::string& path) const { return send("GET", path, nullptr); }
  Result<json::Value> post(const std::string& path, const json::Value& body) const {
    return send("POST", path, &body);
  }
  Result<json::Value> remove(const std::string& path) const { return send("DELETE", path, nullptr); }
  // Text as it is, e.g. JSON Lines; `next` gets the header X-Sortie-Next ("" where there is none).
  Result<std::string> get_text(const std::string& path, std::string* next) const;
  // An answer that is no JSON, as it is; status codes from 400 are errors, as with get().
  Result<io::HttpResponse> get_raw(const std::string& path) const { return exchange("GET", path, nullptr); }
  // Lines of a stream until `on_line` answers false.
  Status stream(const std::string& path, const std::function<bool(std::string_view)>& on_line) const;
  const std::string& url() const { return url_; }
  bool has_person() const { return has_person_; }

 private:
  Result<json::Value> send(const std::string& method, const std::string& path, const json::Value* body) const;
  void add_headers(io::HttpClientRequest& request, const char* accepted) const;
  Result<io::HttpResponse> exchange(const std::string& method, const std::string& path,
                                    const json::Value* body) const;

  std::string url_;
  std::string token_;
  bool has_person_ = false;
};

}  // namespace sortie::cli
