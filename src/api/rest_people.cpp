// People over REST: who am I, and administration by the operator or the group "admins".
#include "api/rest_routes.h"
#include "json/text.h"
#include "response/people.h"

namespace sortie::api {
namespace {

using response::People;

bool is_admin(const People& people, const RestCall& call) {
  return may_administer(call.actor, [&](std::string_view name, std::string_view group) {
    return people.is_in_group(name, group);
  });
}

Error admins_only() {
  return {"AccessDenied", "only the operator and people of the group admins may do this", "",
          "use the account's key, or `sortie user add NAME --group admins`"};
}

json::Value whoami(const People* people, const RestCall& call) {
  std::vector<json::Value> groups;
  if (people != nullptr && call.actor.is_person()) {
    if (const response::Person* person = people->find(call.actor.name)) {
      groups.assign(person->groups.begin(), person->groups.end());
    }
  }
  return json::Value::object({{"actor", to_text(call.actor)},
                              {"name", call.actor.name},
                              {"account", call.actor.account},
                              {"channel", call.actor.channel},
                              {"groups", json::Value::array(std::move(groups))}});
}

Result<std::vector<std::string>> read_groups(const RestCall& call) {
  std::vector<std::string> groups;
  const json::Value& given = call.body.get("groups");
  const Error error{"InvalidParameter", "'groups' has to be a list of names", "", ""};
  if (!given.is_null() && !given.is_array()) return error;
  for (const json::Value& group : given.items()) {
    if (!group.is_string()) return error;
    groups.push_back(group.to_std_string());
  }
  return groups;
}

json::Value keys_json(const response::Person& person) {
  std::vector<json::Value> keys;
  for (const response::AccessKey& key : person.keys) {
    keys.push_back(json::Value::object(
        {{"account", key.account}, {"access_key_id", key.id}, {"secret_access_key", key.secret}}));
  }
  return json::Value::array(std::move(keys));
}

// What is shown once: the token, and the SDK keys with it.
json::Value new_person_json(const response::NewPerson& made) {
  return json::Value::object(
      {{"person", response::to_json(made.person)}, {"token", made.token}, {"keys", keys_json(made.person)}});
}

People::Callback<response::NewPerson> answer_new(const RestCall& call, int status) {
  return [responder = call.responder, status](Result<response::NewPerson> done) {
    answer(responder, done ? Result<json::Value>(new_person_json(*done)) : done.error(), status);
  };
}

void add_person(People& people, const RestCall& call) {
  const Result<std::string> name = body_text(call, "name", true);
  if (!name) return answer(call.responder, name.error());
  Result<std::vector<std::string>> groups = read_groups(call);
  if (!groups) return answer(call.responder, groups.error());
  people.add(*name, *std::move(groups), call.actor, answer_new(call, 201));
}

void remove_person(People& people, const RestCall& call) {
  people.remove(call.parameter("name"), call.actor, [responder = call.responder](Result<Unit> done) {
    answer(responder, done ? Result<json::Value>(json::Value::object({})) : done.error());
  });
}

void set_groups(People& people, const RestCall& call) {
  Result<std::vector<std::string>> groups = read_groups(call);
  if (!groups) return answer(call.responder, groups.error());
  people.set_groups(call.parameter("name"), *std::move(groups), call.actor,
                    [responder = call.responder](Result<response::Person> done) {
                      answer(responder, done ? Result<json::Value>(response::to_json(*done)) : done.error());
                    });
}

void make_login_link(People& people, const RestCall& call) {
  people.make_login_link(
      call.parameter("name"), call.actor, [responder = call.responder](Result<response::LoginLink> done) {
        if (!done) return answer(responder, done.error());
        answer(responder,
               json::Value::object({{"token", done->token}, {"expires_at", time_json(done->expires_at)}}));
      });
}

Result<json::Value> show_keys(const People& people, const RestCall& call) {
  const response::Person* person = people.find(call.parameter("name"));
  if (person == nullptr) {
    return Error{"PersonDoesNotExist", "there is no person '" + call.parameter("name") + "'", "", ""};
  }
  return json::Value::object({{"keys", keys_json(*person)}});
}

using PeopleHandler = void (*)(People&, const RestCall&);

void add_admin(RestDoor& door, People* people, std::string_view method, std::string_view pattern,
               PeopleHandler handler) {
  door.add(method, pattern, [people, handler](const RestCall& call) {
    if (!is_admin(*people, call)) return answer(call.responder, admins_only());
    handler(*people, call);
  });
}

}  // namespace

void add_people_routes(RestDoor& door, const RestServices& services) {
  People* people = services.people;
  door.add("GET", "/v1/whoami",
           [people](const RestCall& call) { answer(call.responder, whoami(people, call)); });
  if (people == nullptr) return;
  add_admin(door, people, "GET", "/v1/people", [](People& all, const RestCall& call) {
    std::vector<json::Value> items;
    for (const response::Person& person : all.list()) items.push_back(response::to_json(person));
    answer(call.responder, json::Value::object({{"people", json::Value::array(std::move(items))}}));
  });
  add_admin(door, people, "POST", "/v1/people", add_person);
  add_admin(door, people, "DELETE", "/v1/people/{name}", remove_person);
  add_admin(door, people, "POST", "/v1/people/{name}/groups", set_groups);
  add_admin(door, people, "POST", "/v1/people/{name}/token", [](People& all, const RestCall& call) {
    all.renew_token(call.parameter("name"), call.actor, answer_new(call, 200));
  });
  add_admin(door, people, "POST", "/v1/people/{name}/login-link", make_login_link);
  door.add("GET", "/v1/people/{name}/keys", [people](const RestCall& call) {
    const bool own = call.actor.is_person() && call.actor.name == call.parameter("name");
    if (!own && !is_admin(*people, call)) return answer(call.responder, admins_only());
    answer(call.responder, show_keys(*people, call));
  });
}

void add_rest_routes(RestDoor& door, const RestServices& services) {
  add_execution_routes(door, services);
  add_stream_route(door, services);
  add_playbook_routes(door, services);
  add_function_routes(door, services);
  add_approval_routes(door, services);
  add_people_routes(door, services);
  add_audit_routes(door, services);
  add_view_routes(door, services);
}

}  // namespace sortie::api
