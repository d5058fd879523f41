#include <unistd.h>

#include <cstdio>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "io/file.h"
#include "json/members.h"
#include "json/text.h"

namespace sortie::cli {
namespace {

const std::vector<Column> kApprovalColumns = {{"id", "ID"},
                                              {"status", "STATUS"},
                                              {"title", "TITLE"},
                                              {"requested_at", "REQUESTED"},
                                              {"expires_at", "EXPIRES"},
                                              {"execution_arn", "EXECUTION", true},
                                              {"plan_hash", "PLAN", true}};

void print_plan(const json::Value& approval) {
  print_line("");
  if (approval.get("plan").size() == 0) return print_line("The question names no planned changes.");
  const bool is_open = json::text_member(approval, "status") == "PENDING";
  print_line(is_open ? "What will be done, if approved:" : "What was planned:");
  for (const json::Value& step : approval.get("plan").items()) {
    const bool reversible = step.get("reversible").is_bool() && step.get("reversible").as_bool();
    print_line("  " + shown(json::shown_member(step, "action")) + "  " +
               shown(json::shown_member(step, "target")) + (reversible ? "" : "  (cannot be undone)"));
    for (const json::Value& change : step.get("changes").items()) {
      print_line("    " + shown(json::shown_member(change, "resource")) + "  " +
                 shown(json::shown_member(change, "what")));
      print_line("      - " + shown(json::shown_member(change, "before")));
      print_line("      + " + shown(json::shown_member(change, "after")));
    }
  }
}

std::string quoted(const std::string& text) { return "'" + replace_all(text, "'", "'\\''") + "'"; }

void print_export(const std::string& name, const std::string& value) {
  print_line("export " + name + "=" + quoted(value));
}

}  // namespace

int approvals_list(const Common& common, const std::string& status) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> page =
      client->get("/v1/approvals" + (status.empty() ? std::string() : "?status=" + percent_encode(status)));
  if (!page) return report(page.error());
  const auto items = page->get("approvals").items();
  return print_rows({items.begin(), items.end()}, kApprovalColumns, "id", common.output);
}

int approvals_show(const Common& common, const std::string& id) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> approval = client->get("/v1/approvals/" + percent_encode(id));
  if (!approval) return report(approval.error());
  if (common.output.format != "text" && common.output.format != "wide") {
    print_object(*approval, "id", common.output);
    return kOk;
  }
  print_object(json::ObjectBuilder(*approval).erase("plan").build(), "id", common.output);
  print_plan(*approval);
  return kOk;
}

int decide(const Common& common, const std::string& id, bool approve, const std::string& reason,
           const std::string& plan_hash) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  if (!client->has_person()) {
    return report({"NotAuthorised", "a decision is a person's", "",
                   "set SORTIE_TOKEN to the token that `sortie user add` printed for you"});
  }
  std::string hash = plan_hash;
  if (hash.empty() && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1) {
    // What was seen is what is approved: show it, and bind the decision to it.
    const Result<json::Value> approval = client->get("/v1/approvals/" + percent_encode(id));
    if (!approval) return report(approval.error());
    print_object(json::ObjectBuilder(*approval).erase("plan").build(), "id", {});
    print_plan(*approval);
    hash = json::shown_member(*approval, "plan_hash");
    if (approve) {
      std::fprintf(stderr, "\nType the approval's id to approve it: ");
      char line[200] = "";
      if (std::fgets(line, sizeof line, stdin) == nullptr || std::string(trim(line)) != id) {
        std::fprintf(stderr, "nothing was decided\n");
        return kFailed;
      }
    }
  }
  json::ObjectBuilder body;
  body.append("decision", approve ? "approve" : "reject");
  body.append("reason", reason);
  if (!hash.empty()) body.append("plan_hash", hash);
  const Result<json::Value> done =
      client->post("/v1/approvals/" + percent_encode(id) + "/decision", body.build());
  if (!done) return report(done.error());
  print_object(json::ObjectBuilder(*done).erase("plan").build(), "id", common.output);
  return kOk;
}

int user_add(const Common& common, const std::string& name, const std::vector<std::string>& groups) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  std::vector<json::Value> list(groups.begin(), groups.end());
  const Result<json::Value> added = client->post(
      "/v1/people", json::Value::object({{"name", name}, {"groups", json::Value::array(std::move(list))}}));
  if (!added) return report(added.error());
  if (common.output.format != "text") {
    print_object(*added, "name", common.output);
    return kOk;
  }
  std::fprintf(stderr, "%s was added. The token is shown only now; use it as SORTIE_TOKEN.\n", name.c_str());
  print_line(json::shown_member(*added, "token"));
  return kOk;
}

int user_list(const Common& common) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> page = client->get("/v1/people");
  if (!page) return report(page.error());
  const auto items = page->get("people").items();
  return print_rows({items.begin(), items.end()},
                    {{"name", "NAME"}, {"groups", "GROUPS"}, {"created_at", "SINCE", true}}, "name",
                    common.output);
}

int user_remove(const Common& common, const std::string& name) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> gone = client->remove("/v1/people/" + percent_encode(name));
  if (!gone) return report(gone.error());
  std::fprintf(stderr, "%s was removed\n", name.c_str());
  return kOk;
}

int login_link(const Common& common, const std::string& name) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  const Result<json::Value> made = client->post("/v1/people/" + percent_encode(name) + "/login-link",
                                                json::Value::object(std::vector<json::Member>()));
  if (!made) return report(made.error());
  const std::string url = client->url() + "/login#" + json::text_member(*made, "token");
  if (common.output.format == "text") {
    print_line(url);
    std::fprintf(stderr, "works once, until %s\n", json::shown_member(*made, "expires_at").c_str());
    return kOk;
  }
  print_object(json::Value::object({{"url", url}, {"expires_at", made->get("expires_at")}}), "url",
               common.output);
  return kOk;
}

// Works with the server stopped, too: the keys of accounts lie in the data folder.
int print_env(const Common& common, const std::string& account, const std::string& user) {
  const std::string folder = data_folder_of(common.client.data_folder);
  const Result<std::string> text = io::read_file(folder + "/credentials.json");
  const Result<json::Value> kept = text ? json::parse(*text) : Result<json::Value>(text.error());
  if (!kept) {
    return report({"NotFound", folder + "/credentials.json cannot be read", "404",
                   "start the server once (`sortie serve`), or name its data folder by --data"});
  }
  const std::string url = json::shown_member(*kept, "url");
  json::Value key;
  if (!user.empty()) {
    const Result<Client> client = Client::connect(common.client);
    if (!client) return report(client.error());
    const Result<json::Value> own = client->get("/v1/people/" + percent_encode(user) + "/keys");
    if (!own) return report(own.error());
    const std::string wanted = account.empty() ? json::shown_member(*kept, "account") : account;
    for (const json::Value& known : own->get("keys").items()) {
      if (json::shown_member(known, "account") == wanted) key = known;
    }
    if (key.is_null()) return report({"NotFound", user + " has no key for account " + wanted, "404", ""});
  } else {
    const std::string wanted = account.empty() ? json::shown_member(*kept, "account") : account;
    for (const json::Value& known : kept->get("keys").items()) {
      if (json::shown_member(known, "account") == wanted) key = known;
    }
    if (key.is_null()) {
      return report({"NotFound", "there is no key for account " + wanted, "404",
                     "list it under `accounts` in sortie.yaml"});
    }
  }
  for (const char* name :
       {"AWS_ENDPOINT_URL_SFN", "AWS_ENDPOINT_URL_EVENTBRIDGE", "AWS_ENDPOINT_URL_LAMBDA"}) {
    print_export(name, url);
  }
  print_export("AWS_ACCESS_KEY_ID", json::shown_member(key, "access_key_id"));
  print_export("AWS_SECRET_ACCESS_KEY", json::shown_member(key, "secret_access_key"));
  print_export("AWS_DEFAULT_REGION", json::shown_member(*kept, "region"));
  print_export("AWS_DISABLE_HOST_PREFIX_INJECTION", "true");
  return kOk;
}

int audit_export(const Common& common) {
  const Result<Client> client = Client::connect(common.client);
  if (!client) return report(client.error());
  std::string after = "0";
  while (true) {
    const Result<io::HttpResponse> page = client->get_raw("/v1/audit/export?limit=1000&after=" + after);
    if (!page) return report(page.error());
    std::fwrite(page->body.data(), 1, page->body.size(), stdout);
    const std::string next(page->headers.get("X-Sortie-Next"));
    if (page->body.empty() || next.empty() || next == after) return kOk;
    after = next;
  }
}

}  // namespace sortie::cli
