// Saved views: searches of the executions page that a person keeps under a name, for themselves or for all.
//
// Documents of kind "console_view", key "ACCOUNT/PERSON/NAME". Everybody of the account sees those that are
// shared; only who saved one, and admins, may delete it. The text is the search language, so
// `run list -q "$(...)"` takes it as it is.
#include "api/execution_search.h"
#include "api/rest_routes.h"
#include "json/text.h"
#include "response/audit.h"
#include "response/people.h"

namespace sortie::api {
namespace rest_views {

constexpr std::string_view kKind = "console_view";
constexpr std::size_t kViewsMax = 1'000;  // Of one account.
constexpr std::size_t kNameBytesMax = 80;

struct View {
  std::string person, name, q;
  bool shared = false;
};

std::string key_of(const RestCall& call, const std::string& person, const std::string& name) {
  return call.actor.account + "/" + person + "/" + name;
}

json::Value view_json(const View& view, const Actor& caller) {
  return json::Value::object({{"name", view.name},
                              {"q", view.q},
                              {"person", view.person},
                              {"shared", view.shared},
                              {"mine", caller.is_person() && caller.name == view.person}});
}

Result<View> read_view(const store::Document& document) {
  SORTIE_TRY(const json::Value value, json::parse(document.value));
  View view;
  for (const auto& [name, text] : {std::pair{"person", &view.person}, {"name", &view.name}, {"q", &view.q}}) {
    if (!value.get(name).is_string()) return Error{"StoreCorrupt", "a saved view cannot be read", "", ""};
    *text = value.get(name).to_std_string();
  }
  view.shared = value.get("shared") == json::Value(true);
  return view;
}

Result<std::vector<View>> all_views(const RestServices& services, const RestCall& call) {
  const std::string prefix = call.actor.account + "/";
  SORTIE_TRY(const std::vector<store::Document> documents,
             services.store.list_documents(kKind, prefix, kViewsMax + 1));
  std::vector<View> views;
  for (const store::Document& document : documents) {
    if (!document.key.starts_with(prefix)) break;
    SORTIE_TRY(View view, read_view(document));
    views.push_back(std::move(view));
  }
  return views;
}

Result<json::Value> list_views(const RestServices& services, const RestCall& call) {
  SORTIE_TRY(const std::vector<View> views, all_views(services, call));
  std::vector<json::Value> items;
  for (const View& view : views) {
    const bool mine = call.actor.is_person() && call.actor.name == view.person;
    if (mine || view.shared) items.push_back(view_json(view, call.actor));
  }
  return json::Value::object({{"views", json::Value::array(std::move(items))}});
}

void commit(const RestServices& services, const RestCall& call, store::Batch batch, json::Value reply) {
  services.store.append(std::move(batch), [responder = call.responder, reply](const Status& done) {
    answer(responder, done ? Result<json::Value>(reply) : done.error());
  });
}

Result<View> read_request(const RestServices& services, const RestCall& call) {
  View view;
  view.person = call.actor.name;
  view.name = call.parameter("name");
  if (view.name.empty() || view.name.size() > kNameBytesMax || view.name.find('/') != std::string::npos) {
    return Error{"InvalidParameter", "a view's name has 1 to 80 bytes and no '/'", "", ""};
  }
  SORTIE_TRY(view.q, body_text(call, "q", true));
  SORTIE_TRY_STATUS([&]() -> Status {
    const auto search = parse_execution_search(view.q, services.loop.now());
    return search ? Status() : Status(search.error());
  }());
  view.shared = call.body.get("shared") == json::Value(true);
  SORTIE_TRY(const std::vector<View> views, all_views(services, call));
  if (views.size() >= kViewsMax) return Error{"LimitExceeded", "there are 1000 views already", "", ""};
  return view;
}

void save_view(const RestServices& services, const RestCall& call) {
  if (!call.actor.is_person()) {
    return answer(call.responder, Error{"PersonRequired", "views are kept by people", "", ""});
  }
  const Result<View> view = read_request(services, call);
  if (!view) return answer(call.responder, view.error());
  const json::Value value = json::Value::object(
      {{"person", view->person}, {"name", view->name}, {"q", view->q}, {"shared", view->shared}});
  store::Batch batch = services.audit->lease().batch();
  batch.documents.push_back(
      {std::string(kKind), key_of(call, view->person, view->name), json::to_text(value)});
  commit(services, call, std::move(batch), view_json(*view, call.actor));
}

void delete_view(const RestServices& services, const RestCall& call) {
  const std::string& person = call.parameter("person");
  const bool is_admin = may_administer(call.actor, [&](std::string_view name, std::string_view group) {
    return services.people->is_in_group(name, group);
  });
  if (!is_admin && !(call.actor.is_person() && call.actor.name == person)) {
    return answer(call.responder, Error{"AccessDenied", "only who saved a view may delete it", "", ""});
  }
  const std::string key = key_of(call, person, call.parameter("name"));
  const auto found = services.store.find_document(kKind, key);
  if (!found) return answer(call.responder, found.error());
  if (!*found) return answer(call.responder, Error{"NotFound", "there is no such view", "", ""});
  store::Batch batch = services.audit->lease().batch();
  batch.documents_gone.emplace_back(kKind, key);
  commit(services, call, std::move(batch), json::Value::object({}));
}

}  // namespace rest_views

void add_view_routes(RestDoor& door, const RestServices& services) {
  if (services.people == nullptr || services.audit == nullptr) return;
  door.add("GET", "/v1/views", [services](const RestCall& call) {
    answer(call.responder, rest_views::list_views(services, call));
  });
  door.add("POST", "/v1/views/{name}",
           [services](const RestCall& call) { rest_views::save_view(services, call); });
  door.add("DELETE", "/v1/views/{person}/{name}",
           [services](const RestCall& call) { rest_views::delete_view(services, call); });
}

}  // namespace sortie::api
