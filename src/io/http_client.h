#pragma once
// HTTP as a client: asynchronous for the server, blocking for the command line.
//
// TLS certificates are verified. Redirects are followed only within the same scheme, host and port, and only
// where asked for. Every request has a time limit and a limit on the response's size. An address filter sees
// the address that is about to be connected to (after name resolution), so a name that resolves to a
// forbidden address is refused, too.
//
// Errors: "InvalidUrl", "ConnectFailed" (nobody listens, name unknown), "AddressRefused" (the filter said
// no), "Timeout", "TlsFailed", "ResponseTooLarge", "Cancelled", "HttpFailed" (everything else).
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "io/event_loop.h"
#include "io/http_message.h"

namespace sortie::io {

// Numeric address ("169.254.169.254", "::1") and port; false refuses the connection.
using AddressFilter = std::function<bool(const std::string& address, std::uint16_t port)>;

struct HttpClientRequest {
  std::string method = "GET";
  std::string url;  // http:// or https://
  HttpHeaders headers;
  std::string body;
  int connect_timeout_ms = 10'000;
  int timeout_ms = 60'000;  // The whole exchange.
  std::size_t response_bytes_max = 16 * 1024 * 1024;
  int redirects_max = 0;
  AddressFilter address_filter;  // None: every address. Called on another thread; must be pure.
  std::string ca_file;           // PEM; empty: the system's.
};

class HttpClient {
 public:
  using RequestId = std::uint64_t;
  using Callback = std::function<void(Result<HttpResponse>)>;

  explicit HttpClient(EventLoop& loop);
  ~HttpClient();  // Unfinished requests are dropped without a callback.

  // The callback runs on the loop, once. Connections are kept alive and reused.
  RequestId fetch(HttpClientRequest request, Callback callback);
  void cancel(RequestId request);  // Its callback gets "Cancelled" unless it was already done.

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

// For the command line. With `on_line`, every line of the response body (without its line end) is handed
// over as it arrives and the returned body is empty; returning false from it ends the request well.
// timeout_ms 0 means no limit.
Result<HttpResponse> fetch_blocking(const HttpClientRequest& request,
                                    const std::function<bool(std::string_view line)>& on_line = nullptr);

}  // namespace sortie::io
