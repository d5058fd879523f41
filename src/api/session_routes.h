#pragma once
// Logging in to the console, and what a browser's cookie means.
//
//   POST   /v1/session {link} or {token}   201 and the cookie; 401 for a used, expired or wrong link or token
//   GET    /v1/session                     {"name", "groups", "csrf", "expires_at", "now", "version"}; 401
//   without one DELETE /v1/session                     logs out
//
// The cookie is HttpOnly, SameSite=Strict, Secure where the page came by TLS, and carries our port in its
// name, because browsers share cookies between ports. With it a request acts as its person; whatever changes
// something has to repeat the session's `csrf` text as X-Sortie-CSRF, which only a page that may read our
// answers knows. Host and Origin are checked on every request before any of this.
#include <string>
#include <string_view>

#include "api/rest.h"
#include "response/people.h"
#include "response/sessions.h"

namespace sortie::api {

// "sortie_session_8420": by the port in the Host header.
std::string session_cookie_name(const io::HttpRequest& request);
// The session's token from the Cookie header; "" where there is none.
std::string session_token(const io::HttpRequest& request);
// What X-Sortie-CSRF has to be. Derived one way, so nothing else is stored.
std::string csrf_text(std::string_view token);

void add_session_routes(RestDoor& door, response::People& people, response::Sessions& sessions,
                        const HostPolicy& hosts, std::string version);

}  // namespace sortie::api
