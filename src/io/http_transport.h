#pragma once
// The two transports of the HTTP server: a plain TCP socket, and TLS over one.
#include <boost/asio/ip/tcp.hpp>
#include <memory>

#include "io/http_session.h"

namespace sortie::io {

// A server's certificate and key, shared by its connections.
class TlsContext;
Result<std::shared_ptr<TlsContext>> load_tls_context(const std::string& certificate_file,
                                                     const std::string& key_file);

std::unique_ptr<Transport> make_plain_transport(boost::asio::ip::tcp::socket socket);
std::unique_ptr<Transport> make_tls_transport(boost::asio::ip::tcp::socket socket,
                                              std::shared_ptr<TlsContext> context);

}  // namespace sortie::io
