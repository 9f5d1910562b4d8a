//! Organizations see nothing of each other: what one has, another does not find, by
//! whatever name.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Reply, assert_none_wrong, send};
use crate::payload;
use crate::server::Server;

/// Somebody with a token.
pub(crate) struct User<'a> {
    server: &'a Server,
    token: String,
}

impl Server {
    /// A new organization, and its owner.
    pub(crate) async fn organization(&self, name: &str) -> User<'_> {
        let organization = json!({"name": name});
        let created = self.post("/organizations", &organization).await.expect(201);
        let id = created["id"].as_str().expect("an id");
        let owner = json!({"label": "owner", "scope": "owner"});
        let request = self.admin(Method::POST, "/tokens").json(&owner);
        let request = request.header("hookswitch-organization", id);
        self.user(&send(request).await.expect(201))
    }

    /// Whoever has a token that was just made.
    pub(crate) fn user(&self, token: &Value) -> User<'_> {
        User {
            server: self,
            token: token["token"].as_str().expect("a token").to_owned(),
        }
    }
}

impl User<'_> {
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = format!("/api/v1{path}");
        self.server.request(method, &path).bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn upload(&self, plugin: &str, component: Vec<u8>) -> Reply {
        let request = self.request(Method::POST, &format!("/plugins/{plugin}/versions"));
        let request = request.header("content-type", "application/wasm");
        send(request.body(component)).await
    }

    /// Another token of the same organization.
    pub(crate) async fn token(&self, scope: &str) -> Value {
        let token = json!({"label": scope, "scope": scope});
        self.post("/tokens", &token).await.expect(201)
    }
}

/// One of everything, by the names of the paths that show it.
async fn one_of_everything(user: &User<'_>) -> BTreeMap<&'static str, String> {
    let id = |thing: &Value| match thing["id"].as_str() {
        Some(id) => id.to_owned(),
        None => panic!("no id in {thing}"),
    };
    let component = crate::guests::component("start-gate");
    user.upload("gate", component).await.expect(201);
    let source = json!({"name": "line", "repeat_window_ms": 0});
    let source = user.post("/sources", &source).await.expect(201);
    let binding = json!({"plugin": "gate"});
    let binding = user.post("/bindings", &binding).await.expect(201);
    let endpoint = json!({"name": "crm", "url": "https://example.invalid/"});
    let endpoint = user.post("/endpoints", &endpoint).await.expect(201);
    let secret = user.request(Method::PUT, "/secrets/crm");
    send(secret.json(&json!({"value": "s3cret"})))
        .await
        .expect(204);
    let hook = source["hook_path"].as_str().expect("a path");
    let request = user.server.request(Method::POST, hook);
    let event = send(request.json(&payload::completed())).await.event();
    let job = json!({"since": "2026-01-01T00:00:00Z"});
    let recover = format!("/endpoints/{}/recover", id(&endpoint));
    let job = user.post(&recover, &job).await.expect(202);
    let delivery = user.get("/deliveries").await.expect(200);
    let token = user.token("viewer").await;
    BTreeMap::from([
        ("sources", id(&source)),
        ("plugins", "gate".to_owned()),
        ("bindings", id(&binding)),
        ("endpoints", id(&endpoint)),
        ("secrets", "crm".to_owned()),
        ("events", event),
        ("jobs", id(&job)),
        ("deliveries", id(&delivery["data"][0])),
        ("tokens", id(&token)),
        (
            "calls",
            payload::completed()["callId"]
                .as_str()
                .expect("an id")
                .to_owned(),
        ),
    ])
}

/// An operation with a part in its path that names something.
struct Operation {
    method: Method,
    path: String,
    resource: String,
}

/// What creates something of that name, whoever else has one.
const CREATES: [(&str, &str); 2] = [
    ("PUT", "/api/v1/secrets/{name}"),
    ("POST", "/api/v1/plugins/{name}/versions"),
];

async fn operations_that_name_something(server: &Server) -> Vec<Operation> {
    let document = send(server.request(Method::GET, "/openapi.json")).await;
    let document = document.expect(200);
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some(rest) = path.strip_prefix("/api/v1/").filter(|it| it.contains('{')) else {
            continue;
        };
        let resource = rest.split('/').next().expect("a resource");
        for method in item.as_object().expect("operations").keys() {
            let method = method.to_uppercase();
            let creates = CREATES.contains(&(method.as_str(), path.as_str()));
            if creates || resource == "organizations" {
                continue;
            }
            operations.push(Operation {
                method: method.parse().expect("a method"),
                path: path.clone(),
                resource: resource.to_owned(),
            });
        }
    }
    operations
}

impl Operation {
    /// With that name in the path, and a body that would do.
    async fn send(&self, user: &User<'_>, name: &str) -> Reply {
        let path = self.path.replace("{id}", name).replace("{name}", name);
        let path = path.replace("{call}", name).replace("{call_id}", name);
        let request = user.server.request(self.method.clone(), &path);
        let request = request.bearer_auth(&user.token).header("if-match", "*");
        let body = match self.path.rsplit('/').next() {
            Some("activate") => json!({"version": 1}),
            Some("recover") => json!({"since": "2026-01-01T00:00:00Z"}),
            _ => json!({}),
        };
        let takes_body = self.method == Method::POST || self.method == Method::PATCH;
        send(if takes_body {
            request.json(&body)
        } else {
            request
        })
        .await
    }
}

/// A name of the same form that nothing has.
fn unknown(resource: &str, name: &str) -> String {
    match resource {
        "plugins" | "secrets" | "calls" => "unknown".to_owned(),
        _ => {
            let (prefix, _) = name.split_once('_').expect("an id");
            format!("{prefix}_{:032x}", 7)
        }
    }
}

#[tokio::test]
async fn what_another_organization_has_is_not_found_by_any_route() {
    let server = Server::start();
    let (owner, stranger) = (
        server.organization("a").await,
        server.organization("b").await,
    );
    let things = one_of_everything(&owner).await;
    let operations = operations_that_name_something(&server).await;
    assert!(operations.len() >= 20, "only {}", operations.len());
    let mut wrong = Vec::new();
    for operation in &operations {
        let row = format!("{} {}", operation.method, operation.path);
        let Some(name) = things.get(operation.resource.as_str()) else {
            wrong.push(format!("{row}: the test has no such thing"));
            continue;
        };
        let theirs = operation.send(&stranger, name).await;
        let unknown = unknown(&operation.resource, name);
        let nothing = operation.send(&stranger, &unknown).await;
        if theirs.status != 404 {
            wrong.push(format!("{row}: {}", theirs.text));
        }
        if theirs.text.replace(name, "") != nothing.text.replace(&unknown, "") {
            wrong.push(format!("{row}: {} and {}", theirs.text, nothing.text));
        }
    }
    // Nothing of it happened to whom it belongs.
    for (resource, name) in &things {
        let shown = owner.get(&format!("/{resource}/{name}")).await;
        if shown.status != 200 && *resource != "secrets" {
            wrong.push(format!("{resource} {name} is {} now", shown.status));
        }
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn lists_show_what_is_ones_own() {
    let server = Server::start();
    let (owner, stranger) = (
        server.organization("a").await,
        server.organization("b").await,
    );
    let things = one_of_everything(&owner).await;
    let mut wrong = Vec::new();
    for list in [
        "/sources",
        "/plugins",
        "/bindings",
        "/endpoints",
        "/secrets",
        "/events",
        "/decisions",
        "/deliveries",
        "/jobs",
    ] {
        let own = owner.get(list).await.expect(200);
        let other = stranger.get(list).await.expect(200);
        let count = |page: &Value| page["data"].as_array().map_or(0, Vec::len);
        if (count(&own), count(&other)) != (1, 0) {
            wrong.push(format!("{list}: {own} and {other}"));
        }
    }
    for (list, parameter) in [
        ("/events", "source"),
        ("/deliveries", "endpoint"),
        ("/deliveries", "event"),
    ] {
        let name = &things[format!("{parameter}s").as_str()];
        let page = stranger.get(&format!("{list}?{parameter}={name}")).await;
        if page.body["data"] != json!([]) {
            wrong.push(format!("{list} by {parameter}: {}", page.text));
        }
    }
    assert_none_wrong(&wrong);
}

#[tokio::test]
async fn what_another_organization_has_cannot_be_used() {
    let server = Server::start();
    let (owner, stranger) = (
        server.organization("a").await,
        server.organization("b").await,
    );
    let things = one_of_everything(&owner).await;
    let component = crate::guests::component("transfer-router");
    stranger.upload("router", component).await.expect(201);
    let source = &things["sources"];
    let selected = json!({"plugin": "router", "selector": {"source": source}});
    let refused = stranger.post("/bindings", &selected).await;
    refused.expect_problem(422, "invalid_field", Some("selector.source"));
    let plugin = json!({"plugin": "gate"});
    let refused = stranger.post("/bindings", &plugin).await;
    refused.expect_problem(422, "invalid_field", Some("plugin"));
    let header = json!({
        "name": "crm", "url": "https://example.invalid/",
        "headers": {"authorization": "Bearer ${secret:crm}"},
    });
    let refused = stranger.post("/endpoints", &header).await;
    refused.expect_problem(422, "invalid_field", Some("headers.authorization"));
    let retry = json!({"endpoint": things["endpoints"]});
    let refused = stranger.post("/deliveries/retry", &retry).await;
    refused.expect_problem(422, "invalid_field", Some("endpoint"));
}

#[tokio::test]
async fn names_belong_to_each_organization() {
    let server = Server::start();
    let (one, other) = (
        server.organization("a").await,
        server.organization("b").await,
    );
    one_of_everything(&one).await;
    one_of_everything(&other).await;
}

/// How long compiling took, and that it was not done, would tell what another has.
#[tokio::test]
async fn an_upload_does_not_tell_whether_another_organization_has_the_same() {
    let server = Server::start();
    let (one, other) = (
        server.organization("a").await,
        server.organization("b").await,
    );
    let component = crate::guests::component("start-gate");
    for user in [&one, &other] {
        let uploaded = user.upload("gate", component.clone()).await.expect(201);
        assert!(uploaded["compile_ms"].is_u64(), "{uploaded}");
    }
    let again = one.upload("copy", component).await.expect(201);
    assert!(again["compile_ms"].is_null(), "{again}");
}

#[tokio::test]
async fn each_organization_answers_its_own_calls() {
    let server = Server::start();
    let mut hooks = Vec::new();
    for (name, guest) in [("a", "start-gate"), ("b", "crm-sync")] {
        let user = server.organization(name).await;
        let component = crate::guests::component(guest);
        user.upload("plugin", component).await.expect(201);
        user.post("/bindings", &json!({"plugin": "plugin"}))
            .await
            .expect(201);
        let source =
            json!({"name": "line", "verdicts": {"start": {"decision": "reject", "reason": name}}});
        let source = user.post("/sources", &source).await.expect(201);
        hooks.push((user, source));
    }
    for (user, source) in &hooks {
        let path = source["hook_path"].as_str().expect("a path");
        let request = server.request(Method::POST, path).json(&payload::start());
        let event = send(request).await.event();
        let shown = user.get(&format!("/events/{event}")).await.expect(200);
        assert_eq!(shown["source"], source["id"]);
        for (stranger, other) in &hooks {
            if other["id"] != source["id"] {
                let hidden = stranger.get(&format!("/events/{event}")).await;
                hidden.expect_problem(404, "not_found", None);
            }
        }
    }
}

#[tokio::test]
async fn operators_set_organizations_up_and_act_in_them() {
    let server = Server::start();
    let named = json!({"name": "acme", "quotas": {"plugins": 3}});
    let created = server.post("/organizations", &named).await.expect(201);
    server
        .post("/organizations", &named)
        .await
        .expect_problem(409, "name_taken", Some("name"));
    let by = |name: &str| {
        let request = server.admin(Method::GET, "/whoami");
        send(request.header("hookswitch-organization", name.to_owned()))
    };
    let id = created["id"].as_str().expect("an id");
    for name in ["acme", id] {
        let me = by(name).await.expect(200);
        assert_eq!(me["organization"]["name"], "acme");
        assert_eq!(me["organization"]["quotas"], json!({"plugins": 3}));
    }
    for unknown in ["nobody", "org_00000000000000000000000000000007", "ä"] {
        by(unknown).await.expect_problem(404, "not_found", None);
    }
    let owner = server.organization("other").await;
    let request = owner.request(Method::GET, "/whoami");
    let request = request.header("hookswitch-organization", "acme");
    send(request).await.expect_problem(403, "forbidden", None);
    owner
        .get("/organizations")
        .await
        .expect_problem(403, "forbidden", None);
}
