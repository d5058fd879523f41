// What of the network a function has. The services it may or may not reach are servers of this process.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "functions/service_test_support.h"
#include "io/http_server.h"

namespace sortie::functions {
namespace {

// Tells how a connection to event["to"] goes, and what an HTTP server there says.
constexpr const char* kConnect = R"(import socket, http.client
def lambda_handler(event, context):
    host, port = event['to']
    try:
        if not event.get('http'):
            socket.create_connection((host, port), event.get('wait', 3)).close()
            return 'connected'
        client = http.client.HTTPConnection(host, port, timeout=3)
        client.request('POST', '/', event.get('body', ''))
        return client.getresponse().read().decode()
    except OSError as error:
        return type(error).__name__ + ' ' + str(error.errno)
)";
constexpr const char* kUnreachable = "OSError 101";
constexpr const char* kRefused = "ConnectionRefusedError 111";

class WorkerNetworkTest : public FunctionServiceTest {
 protected:
  void start_with(const NetworkOptions& network) {
    service_ = nullptr;
    options_.network = network;
    start();
  }
  // Where this machine refuses, the service says so and the test has nothing to test.
  bool has_network() {
    const auto report = service_->sandbox_report();
    return std::none_of(report.begin(), report.end(),
                        [](const std::string& line) { return line.find("is shared") != std::string::npos; });
  }
  std::unique_ptr<io::HttpServer> serve(std::uint16_t port = 0) {
    io::HttpServerOptions options;
    options.port = port;
    auto server = io::HttpServer::listen(loop_, options, [](io::HttpRequest request, auto responder) {
      responder->send({200, {}, "served " + std::to_string(request.body.size())});
    });
    EXPECT_TRUE(server.ok());
    return std::move(*server);
  }
  std::string connect(const std::string& host, int port, const std::string& more = "") {
    const InvokeResult result =
        invoke("Connect", R"({"to":[")" + host + "\"," + std::to_string(port) + "]" + more + "}");
    const auto value = json::parse(result.payload);
    return value && value->is_string() ? value->to_std_string() : result.payload;
  }
  std::string ask(int port) { return connect("127.0.0.1", port, R"(,"http":true)"); }
};

TEST_F(WorkerNetworkTest, HasNoMetadataAndOfThisMachineOnlyWhatIsListed) {
  const auto listed = serve(), unlisted = serve(), ours = serve(), account = serve();
  options_.aws_endpoint_url = "http://localhost:" + std::to_string(account->port()) + "/x";
  NetworkOptions network;
  network.whole_loopback = false;
  network.allow = {"127.0.0.1:" + std::to_string(listed->port()), "db.example.com:5432", "nonsense"};
  start_with(network);
  if (!has_network()) GTEST_SKIP() << "SKIP: this machine refuses network namespaces or slirp4netns";
  service_->set_server_url("http://127.0.0.1:" + std::to_string(ours->port()));
  python("Connect", kConnect);
  for (const char* address : {"169.254.169.254", "169.254.170.2", "169.254.170.23"})
    EXPECT_THAT(connect(address, 80), StartsWith("OSError 1")) << address << ": no route";
  EXPECT_THAT(connect("fd00:ec2::254", 80), StartsWith("OSError "));
  EXPECT_EQ(connect("127.0.0.1", unlisted->port()), kRefused);
  EXPECT_THAT(connect("10.0.2.2", unlisted->port()), StartsWith("OSError "))
      << "the way out does not lead back to this machine's loopback";
  EXPECT_EQ(ask(listed->port()), "served 0");
  EXPECT_EQ(ask(ours->port()), "served 0");
  EXPECT_EQ(ask(account->port()), "served 0");
  EXPECT_EQ(connect("localhost", account->port(), R"(,"http":true)"), "served 0");
  const std::string large = R"(,"http":true,"body":")" + std::string(3'000'000, 'x') + "\"";
  EXPECT_EQ(connect("127.0.0.1", listed->port(), large), "served 3000000");
}

TEST_F(WorkerNetworkTest, FollowsWhatListensOnLoopbackWhereThatIsOpen) {
  start_with({});
  if (!has_network()) GTEST_SKIP() << "SKIP: this machine refuses network namespaces or slirp4netns";
  python("Connect", kConnect);
  auto service = serve();
  const int port = service->port();
  EXPECT_EQ(ask(port), "served 0");
  EXPECT_THAT(connect("169.254.169.254", 80), StartsWith("OSError 1"));
  service = nullptr;
  loop_.run_until([] { return false; }, 50);
  EXPECT_EQ(connect("127.0.0.1", port), kRefused) << "it has gone";
  service = serve(static_cast<std::uint16_t>(port));
  loop_.run_until([] { return false; }, 50);
  EXPECT_EQ(ask(port), "served 0") << "it came while the worker was warm";
}

TEST_F(WorkerNetworkTest, WorkersKeepPortsOfTheirOwn) {
  start_with({});
  if (!has_network()) GTEST_SKIP() << "SKIP: this machine refuses network namespaces or slirp4netns";
  python("Local", R"(import socket
server = socket.create_server(('127.0.0.1', 0))
def lambda_handler(event, context):
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    client.sendall(b'own')
    return peer.recv(3).decode()
)");
  EXPECT_EQ(invoke("Local").payload, "\"own\"");
}

TEST_F(WorkerNetworkTest, AnIsolatedNetworkHasNoWayOut) {
  NetworkOptions network;
  network.mode = NetworkOptions::Mode::kIsolated;
  start_with(network);
  if (!has_network()) GTEST_SKIP() << "SKIP: this machine refuses network namespaces";
  python("Connect", kConnect);
  EXPECT_EQ(connect("192.0.2.1", 80), kUnreachable);
  const auto service = serve();
  EXPECT_EQ(ask(service->port()), "served 0") << "loopback is open all the same";
}

TEST_F(WorkerNetworkTest, TheMachinesNetworkIsThereForThoseWhoAskForIt) {
  NetworkOptions network;
  network.mode = NetworkOptions::Mode::kHost;
  start_with(network);
  EXPECT_FALSE(has_network());
  python("Connect", kConnect);
  const auto service = serve();
  EXPECT_EQ(ask(service->port()), "served 0");
}

TEST_F(WorkerNetworkTest, AWayOutThatEndedIsStartedAgain) {
  start_with({});
  if (!has_network()) GTEST_SKIP() << "SKIP: this machine refuses network namespaces or slirp4netns";
  const auto ways_out = [] {
    std::vector<pid_t> pids;
    for (const io::ProcessEntry& process : io::list_processes()) {
      if (process.parent != ::getpid() || process.is_zombie) continue;
      const auto name = io::read_file("/proc/" + std::to_string(process.pid) + "/comm", 64);
      if (name && name->starts_with("slirp4netns")) pids.push_back(process.pid);
    }
    return pids;
  };
  // Without a way out the network is unreachable; with one, nobody answers at an address of documentation.
  python("Connect", kConnect);
  for (const pid_t pid : ways_out()) ::kill(pid, SIGKILL);
  EXPECT_TRUE(loop_.run_until([&] { return ways_out().empty(); }, 10'000));
  EXPECT_TRUE(loop_.run_until([&] { return !ways_out().empty(); }, 10'000));
  EXPECT_NE(connect("192.0.2.77", 80, R"(,"wait":0.2)"), kUnreachable);
  service_ = nullptr;
  EXPECT_TRUE(loop_.run_until([&] { return ways_out().empty(); }, 10'000)) << "it ends with the service";
}

}  // namespace
}  // namespace sortie::functions
