#pragma once
// HTTP requests and responses as values, shared by the server and the client.
//
// Header names compare without regard to case and keep the order and spelling in which they came. `path` and
// `query` are the raw, still percent-encoded halves of the target, because signatures are computed over them.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sortie::io {

class HttpHeaders {
 public:
  using Entry = std::pair<std::string, std::string>;

  HttpHeaders() = default;
  HttpHeaders(std::initializer_list<Entry> entries) : entries_(entries) {}

  const std::string* find(std::string_view name) const;  // The first one; nullptr where absent.
  std::string_view get(std::string_view name) const;     // "" where absent.
  bool has(std::string_view name) const { return find(name) != nullptr; }
  void add(std::string name, std::string value) { entries_.emplace_back(std::move(name), std::move(value)); }
  void set(std::string name, std::string value);  // Replaces all of that name.
  void erase(std::string_view name);
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

struct HttpRequest {
  std::string method;  // Upper case as sent.
  std::string target;  // "/a%20b?x=1", raw.
  std::string path;    // "/a%20b", raw.
  std::string query;   // "x=1", raw, without the '?'.
  HttpHeaders headers;
  std::string body;  // Chunked bodies are joined.
  std::string peer_address;
  std::uint16_t peer_port = 0;
  bool is_tls = false;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;  // Content-Length, Connection and Date are the server's own.
  std::string body;
};

// Names and values percent-decoded ('+' becomes a blank), in order. Error code "InvalidPercentEncoding".
Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);
// The value of one query parameter, decoded; nothing where it is absent or broken.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

std::string_view reason_phrase(int status);  // "Not Found"; "" where unknown.

}  // namespace sortie::io
