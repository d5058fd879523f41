#include "io/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "io/file.h"
#include "io/http_client.h"

namespace sortie::io {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// A peer on a thread of its own, because the server's loop runs on the test's.
class RawPeer {
 public:
  explicit RawPeer(std::uint16_t port) {
    descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~RawPeer() { close(); }
  void close() {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  }
  void send(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  void end_sending() const { ::shutdown(descriptor_, SHUT_WR); }
  std::string receive_until(std::string_view mark) const {
    std::string text;
    char buffer[65536];
    while (text.find(mark) == std::string::npos) {
      const ssize_t got = ::recv(descriptor_, buffer, sizeof(buffer), 0);
      if (got <= 0) break;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }
  std::string receive_all() const { return receive_until(std::string_view("\0never\0", 7)); }

 private:
  int descriptor_ = -1;
};

class HttpServerTest : public testing::Test {
 protected:
  void listen(HttpServerOptions options = {}) {
    auto server =
        HttpServer::listen(loop_, options, [this](HttpRequest request, std::shared_ptr<Responder> responder) {
          requests_.push_back(request);
          handler_(std::move(request), std::move(responder));
        });
    ASSERT_TRUE(server.ok()) << to_text(server.error());
    server_ = std::move(*server);
  }
  // Runs `peer` beside the loop and returns what it returned.
  std::string exchange(const std::function<std::string()>& peer) {
    std::string result;
    bool done = false;
    std::thread thread([&] {
      result = peer();
      loop_.post([&] { done = true; });
    });
    EXPECT_TRUE(loop_.run_until([&] { return done; }, 20'000));
    thread.join();
    return result;
  }
  std::string talk(const std::string& text) {
    return exchange([&] {
      const RawPeer peer(server_->port());
      peer.send(text);
      return peer.receive_all();
    });
  }

  EventLoop loop_;
  std::vector<HttpRequest> requests_;
  HttpHandler handler_ = [](HttpRequest request, std::shared_ptr<Responder> responder) {
    responder->send(
        {200, {{"Content-Type", "text/plain"}}, request.method + " " + request.path + " " + request.body});
  };
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndKeepsTheConnectionForTheNextRequest) {
  listen();
  const std::string text = exchange([&] {
    const RawPeer peer(server_->port());
    peer.send("GET /a?x=1&y=%20 HTTP/1.1\r\nHost: h\r\nX-Own: Value\r\n\r\n");
    std::string all = peer.receive_until("GET /a ");
    peer.send("POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
    return all + peer.receive_all();
  });
  EXPECT_THAT(text, HasSubstr("POST /b body"));
  ASSERT_EQ(requests_.size(), 2u);
  EXPECT_EQ(requests_[0].query, "x=1&y=%20");
  EXPECT_EQ(requests_[0].headers.get("x-oWN"), "Value");
  EXPECT_EQ(query_parameter(requests_[0].query, "y"), " ");
  EXPECT_EQ(requests_[0].peer_address, "127.0.0.1");
}

TEST_F(HttpServerTest, HandlesPipelinedRequestsInOrder) {
  listen();
  std::string many;
  for (int i = 0; i < 500; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  many += "GET /end HTTP/1.1\r\nConnection: close\r\n\r\n";
  const std::string text = talk(many);
  ASSERT_EQ(requests_.size(), 501u);
  EXPECT_EQ(requests_[321].path, "/321");
  EXPECT_LT(text.find("GET /77 "), text.find("GET /78 "));
  EXPECT_THAT(text, EndsWith("GET /end "));
}

TEST_F(HttpServerTest, JoinsChunkedBodiesAndSaysContinueWhereAsked) {
  listen();
  const std::string text = exchange([&] {
    const RawPeer peer(server_->port());
    peer.send(
        "POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: "
        "close\r\n\r\n");
    std::string all = peer.receive_until("\r\n\r\n");
    peer.send("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    return all + peer.receive_all();
  });
  EXPECT_THAT(text, StartsWith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(requests_.at(0).body, "abcde");
}

TEST_F(HttpServerTest, ReadsRequestsThatArriveByteByByte) {
  listen();
  exchange([&] {
    const RawPeer peer(server_->port());
    for (const char c : std::string("PUT /d HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"))
      peer.send({&c, 1});
    return peer.receive_all();
  });
  EXPECT_EQ(requests_.at(0).body, "hi");
}

TEST_F(HttpServerTest, ReadsAnEmptyChunkedBodyThatArrivesByteByByte) {
  listen();
  exchange([&] {
    const RawPeer peer(server_->port());
    for (const char c :
         std::string("PUT /e HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                     "0\r\nTrailer: x\r\n\r\n"))
      peer.send({&c, 1});
    return peer.receive_all();
  });
  ASSERT_EQ(requests_.size(), 1u);
  EXPECT_EQ(requests_[0].body, "");
}

TEST_F(HttpServerTest, RefusesWhatIsTooLargeOrNoHttpAndStaysUp) {
  listen({.header_bytes_max = 1000, .body_bytes_max = 100});
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nA: " + std::string(5000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nA: " + std::string(5'000'000, 'x')), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + std::string(0xfff, 'y')),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(1'000'000, '1')),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(talk("\x16\x03\x01 nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(talk("GET nowhere HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(requests_.empty());
  EXPECT_THAT(talk("GET /ok HTTP/1.0\r\n\r\n"), EndsWith("GET /ok "));
  EXPECT_TRUE(loop_.run_until([&] { return server_->connection_count() == 0; }, 10'000));
}

TEST_F(HttpServerTest, TakesHeadersOfAMegabyteWhereItIsToldTo) {
  listen({.header_bytes_max = 2 * 1024 * 1024});
  const std::string cause(1'000'000, 'z');
  talk("POST /e HTTP/1.1\r\nCause: " + cause + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(requests_.at(0).headers.get("cause"), cause);
}

TEST_F(HttpServerTest, EndsRequestsThatDoNotArriveInTime) {
  listen({.request_timeout_ms = 50, .idle_timeout_ms = 100});
  EXPECT_THAT(talk("GET / HT"), StartsWith("HTTP/1.1 408 "));
  EXPECT_EQ(talk(""), "");  // An idle connection is just closed.
}

TEST_F(HttpServerTest, AnswersLaterAndTellsWhenThePeerLeaves) {
  std::shared_ptr<Responder> waiting;
  bool left = false;
  handler_ = [&](HttpRequest, std::shared_ptr<Responder> responder) {
    responder->on_close([&] { left = true; });
    waiting = std::move(responder);
  };
  listen();
  {
    const RawPeer peer(server_->port());
    peer.send("GET /poll HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(loop_.run_until([&] { return waiting != nullptr; }, 5'000));
    waiting->send({200, {}, "first"});
    EXPECT_THAT(exchange([&] { return peer.receive_until("first"); }), EndsWith("first"));
    waiting = nullptr;
    peer.send("GET /poll HTTP/1.1\r\n\r\n");
    ASSERT_TRUE(loop_.run_until([&] { return waiting != nullptr; }, 5'000));
    EXPECT_FALSE(left);
  }
  EXPECT_TRUE(loop_.run_until([&] { return left; }, 5'000));
  waiting->send({200, {}, "into the void"});
}

TEST_F(HttpServerTest, SaysSoWhenARequestIsDroppedUnanswered) {
  handler_ = [](HttpRequest, std::shared_ptr<Responder>) {};
  listen();
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 500 "));
}

TEST_F(HttpServerTest, StreamsChunksAsTheyCome) {
  handler_ = [&](HttpRequest, std::shared_ptr<Responder> responder) {
    responder->begin_stream({200, {{"Content-Type", "text/event-stream"}}, "data: 1\n\n"});
    loop_.call_after(1, [responder] {
      EXPECT_TRUE(responder->write("data: 2\n\n"));
      responder->end_stream();
      EXPECT_FALSE(responder->is_open());
    });
  };
  listen();
  const std::string text = talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(text, EndsWith("9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"));
}

TEST_F(HttpServerTest, DropsAStreamWhosePeerDoesNotRead) {
  bool closed = false;
  std::shared_ptr<Responder> stream;
  handler_ = [&](HttpRequest, std::shared_ptr<Responder> responder) {
    responder->begin_stream({});
    responder->on_close([&] { closed = true; });
    stream = std::move(responder);
  };
  listen({.stream_bytes_max = 100'000});
  const RawPeer peer(server_->port());
  peer.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(loop_.run_until([&] { return stream != nullptr; }, 5'000));
  const std::string chunk(10'000, 'x');
  int written = 0;
  while (stream->write(chunk) && written < 10'000) ++written;
  EXPECT_LT(written, 10'000);
  EXPECT_FALSE(stream->is_open());
  EXPECT_TRUE(loop_.run_until([&] { return closed; }, 5'000));
}

TEST_F(HttpServerTest, NeverLetsAHeaderValueStartANewLine) {
  handler_ = [](HttpRequest, std::shared_ptr<Responder> responder) {
    responder->send({200, {{"X", "a\r\nSet-Cookie: b"}, {"Y", "fine"}}, ""});
  };
  listen();
  const std::string text = talk("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(text, testing::Not(HasSubstr("Set-Cookie")));
  EXPECT_THAT(text, HasSubstr("Y: fine"));
}

TEST_F(HttpServerTest, RefusesConnectionsBeyondTheLimitWhileAllAreServed) {
  std::shared_ptr<Responder> waiting;
  handler_ = [&](HttpRequest, std::shared_ptr<Responder> responder) { waiting = std::move(responder); };
  listen({.connections_max = 1});
  const RawPeer first(server_->port());
  first.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(loop_.run_until([&] { return waiting != nullptr; }, 5'000));
  EXPECT_THAT(talk("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
}

TEST_F(HttpServerTest, IdleConnectionsGiveWayToNewOnes) {
  listen({.connections_max = 2});
  const RawPeer idle(server_->port());
  const RawPeer slow(server_->port());
  slow.send("GET / HT");
  ASSERT_TRUE(loop_.run_until([&] { return server_->connection_count() == 2; }, 5'000));
  for (int i = 0; i < 5; ++i) {
    EXPECT_THAT(talk("GET /new HTTP/1.1\r\nConnection: close\r\n\r\n"), EndsWith("GET /new "));
  }
}

TEST_F(HttpServerTest, TheLargestArrivingBodyGivesWayWhenTheyAreTooManyBytes) {
  listen({.body_bytes_max = 1'000'000, .received_bytes_max = 300'000});
  const auto part = [](std::size_t bytes) {
    return "PUT / HTTP/1.1\r\nContent-Length: 900000\r\n\r\n" + std::string(bytes, 'x');
  };
  const RawPeer large(server_->port());
  const std::string refused = exchange([&] {
    large.send(part(250'000));
    const RawPeer other(server_->port());
    other.send(part(100'000));
    return large.receive_until("try again");
  });
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(talk("PUT /small HTTP/1.1\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
              EndsWith("PUT /small x"));
  EXPECT_THAT(talk(part(400'000)), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(requests_.size(), 1u);
}

TEST_F(HttpServerTest, RefusesWhatAProxyMightReadAsAnotherRequest) {
  listen();
  const std::string body = "\r\n\r\n5\r\nGET /\r\n0\r\n\r\n";
  for (const char* coding : {"xchunked", "gzip, chunked", "identity", "chunked, identity"}) {
    EXPECT_THAT(talk("POST / HTTP/1.1\r\nTransfer-Encoding: " + std::string(coding) + body),
                StartsWith("HTTP/1.1 501 "))
        << coding;
  }
  EXPECT_THAT(talk("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x" + body),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(talk("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(requests_.empty());
}

TEST_F(HttpServerTest, DropsPeersThatTheFilterDoesNotKnow) {
  listen({.accept_peer = [](const std::string&, std::uint16_t) { return false; }});
  EXPECT_EQ(talk("GET / HTTP/1.1\r\n\r\n"), "");
  EXPECT_TRUE(requests_.empty());
}

TEST_F(HttpServerTest, SaysThatAPortIsInUse) {
  listen();
  const auto second = HttpServer::listen(loop_, {.port = server_->port()}, handler_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, "AddressInUse");
  EXPECT_THAT(second.error().message, HasSubstr("127.0.0.1:" + std::to_string(server_->port())));
}

TEST_F(HttpServerTest, DrainsByFinishingWhatRuns) {
  std::shared_ptr<Responder> waiting;
  handler_ = [&](HttpRequest, std::shared_ptr<Responder> responder) { waiting = std::move(responder); };
  listen();
  const RawPeer idle(server_->port());
  const RawPeer busy(server_->port());
  busy.send("GET / HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(loop_.run_until([&] { return waiting != nullptr; }, 5'000));
  bool drained = false;
  server_->drain(60'000, [&] { drained = true; });
  EXPECT_EQ(exchange([&] { return idle.receive_all(); }), "");
  EXPECT_FALSE(drained);
  waiting->send({200, {}, "done"});
  EXPECT_THAT(exchange([&] { return busy.receive_all(); }), EndsWith("done"));
  busy.end_sending();
  EXPECT_TRUE(loop_.run_until([&] { return drained; }, 5'000));
}

TEST_F(HttpServerTest, SpeaksTlsAndTheClientChecksTheCertificate) {
  const std::string folder = testing::TempDir() + "/sortie-tls-" + std::to_string(::getpid());
  const std::string make = "mkdir -p " + folder +
                           " && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 " +
                           "-nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout " +
                           folder + "/key.pem -out " + folder + "/cert.pem >/dev/null 2>&1";
  if (std::system(make.c_str()) != 0) GTEST_SKIP() << "SKIP: the openssl program is not installed";
  listen({.certificate_file = folder + "/cert.pem", .key_file = folder + "/key.pem"});
  HttpClient client(loop_);
  HttpClientRequest request;
  request.url = "https://127.0.0.1:" + std::to_string(server_->port()) + "/tls";
  std::vector<Result<HttpResponse>> results;
  client.fetch(request, [&](Result<HttpResponse> result) { results.push_back(std::move(result)); });
  ASSERT_TRUE(loop_.run_until([&] { return results.size() == 1; }, 10'000));
  ASSERT_FALSE(results[0].ok());
  EXPECT_EQ(results[0].error().code, "TlsFailed");
  request.ca_file = folder + "/cert.pem";
  client.fetch(request, [&](Result<HttpResponse> result) { results.push_back(std::move(result)); });
  ASSERT_TRUE(loop_.run_until([&] { return results.size() == 2; }, 10'000));
  ASSERT_TRUE(results[1].ok()) << to_text(results[1].error());
  EXPECT_EQ(results[1]->body, "GET /tls ");
  EXPECT_TRUE(requests_.at(0).is_tls);
  EXPECT_TRUE(remove_tree(folder).ok());
}

}  // namespace
}  // namespace sortie::io
