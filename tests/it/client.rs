//! What a test says to a server: the administrator's requests and the
//! platform's webhooks.
//!
//! Neighbours: `server` runs the process, `payload` has the bodies.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::guests;
use crate::server::Server;

/// How long a notice may take until it is handled. Generous: it only bounds a
/// test that would otherwise wait for ever.
const HANDLED_LIMIT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; null when it is none.
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Reply {
    /// The body, after a check that this is what was expected.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "the answer was: {}", self.text);
        self.body
    }

    /// The value of a header, empty when it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The id the server gave the event, from the header of every hook reply.
    #[track_caller]
    pub(crate) fn event(&self) -> String {
        let id = self.header("x-hookswitch-event");
        assert!(
            id.starts_with("evt_"),
            "no event id in {:?} of {}",
            self.headers,
            self.text
        );
        id.to_owned()
    }

    /// Checks that this is the problem with that code, complete in its form.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str, field: Option<&str>) {
        if let Err(difference) = self.is_problem(status, code, field) {
            panic!("{difference}");
        }
    }

    /// The same for a table: how the answer differs from that problem.
    pub(crate) fn is_problem(
        &self,
        status: u16,
        code: &str,
        field: Option<&str>,
    ) -> Result<(), String> {
        let body = &self.body;
        let found = (self.status, body["code"].as_str(), body["field"].as_str());
        let says = |part: &str| body[part].as_str().is_some_and(|text| !text.is_empty());
        let complete = self.header("content-type") == "application/problem+json"
            && body["type"] == format!("urn:hookswitch:problem:{code}")
            && body["status"] == status
            && says("title")
            && says("detail");
        if found == (status, Some(code), field) && complete {
            return Ok(());
        }
        Err(format!(
            "expected {status} {code} {field:?}, the answer was: {}",
            self.text
        ))
    }
}

/// Fails with every row of a table that went wrong, not with the first alone.
#[track_caller]
pub(crate) fn assert_none_wrong(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} rows are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A source that was created in a server.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) id: String,
    pub(crate) hook_path: String,
}

impl Server {
    /// One request, with nothing in it that was not asked for.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.address))
    }

    /// One request of the administrator.
    pub(crate) fn admin(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.request(method, &format!("/api/v1{path}"))
            .bearer_auth(&self.token)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        send(self.admin(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        send(self.admin(Method::POST, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        send(self.admin(Method::DELETE, path)).await
    }

    /// Uploads the bytes of a component.
    pub(crate) async fn upload(&self, plugin: &str, component: Vec<u8>) -> Reply {
        send(
            self.admin(Method::POST, &format!("/plugins/{plugin}/versions"))
                .header("content-type", "application/wasm")
                .body(component),
        )
        .await
    }

    /// Uploads one of the built guests under its own name.
    #[track_caller]
    pub(crate) fn install(&self, guest: &str) -> impl Future<Output = ()> {
        let component = guests::component(guest);
        async move {
            self.upload(guest, component).await.expect(201);
        }
    }

    /// Creates a source that differs from the default in what is given.
    pub(crate) async fn create_source(&self, source: &Value) -> Source {
        let source = self.post("/sources", source).await.expect(201);
        Source {
            id: source["id"].as_str().expect("an id").to_owned(),
            hook_path: source["hook_path"].as_str().expect("a path").to_owned(),
        }
    }

    /// Creates a source that takes each request for a new one: tests send the same
    /// sample again and again. The module `repeats` is about sources that do not.
    pub(crate) async fn source(&self, name: &str) -> Source {
        self.create_source(&json!({"name": name, "repeat_window_ms": 0}))
            .await
    }

    /// Creates a binding and gives its id.
    pub(crate) async fn bind(&self, binding: &Value) -> String {
        let binding = self.post("/bindings", binding).await.expect(201);
        binding["id"].as_str().expect("an id").to_owned()
    }

    /// Creates an endpoint, and gives it with its signing secret.
    pub(crate) async fn endpoint(&self, endpoint: &Value) -> Value {
        self.post("/endpoints", endpoint).await.expect(201)
    }

    /// Creates an endpoint that is disabled: what is owed to it waits. Gives its id.
    pub(crate) async fn waiting_endpoint(&self, name: &str) -> String {
        let url = "https://example.invalid/";
        let endpoint = json!({"name": name, "url": url, "enabled": false});
        let endpoint = self.endpoint(&endpoint).await;
        endpoint["id"].as_str().expect("an id").to_owned()
    }

    /// Sends a payload as the platform would.
    pub(crate) async fn hook(&self, source: &Source, payload: &Value) -> Reply {
        send(self.request(Method::POST, &source.hook_path).json(payload)).await
    }

    /// Sends bytes as the platform would.
    pub(crate) async fn hook_bytes(&self, source: &Source, body: impl Into<Vec<u8>>) -> Reply {
        send(
            self.request(Method::POST, &source.hook_path)
                .header("content-type", "application/json")
                .body(body.into()),
        )
        .await
    }

    /// One event, with its decision, log and deliveries.
    pub(crate) async fn event(&self, id: &str) -> Value {
        self.get(&format!("/events/{id}")).await.expect(200)
    }

    /// Waits until a notice has been handled, and gives the event.
    pub(crate) async fn handled(&self, id: &str) -> Value {
        let deadline = Instant::now() + HANDLED_LIMIT;
        loop {
            let event = self.event(id).await;
            if event["state"] == "handled" {
                return event;
            }
            assert_eq!(
                event["state"], "accepted",
                "a notice is accepted or handled"
            );
            assert!(
                Instant::now() < deadline,
                "not handled within {HANDLED_LIMIT:?}: {event}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// All objects of a list, through every page of it.
    pub(crate) async fn all(&self, list: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut page = format!(
            "{list}{}limit=200",
            if list.contains('?') { '&' } else { '?' }
        );
        let first = page.clone();
        loop {
            let body = self.get(&page).await.expect(200);
            found.extend(
                body["data"]
                    .as_array()
                    .expect("a page has data")
                    .iter()
                    .cloned(),
            );
            match body["next_cursor"].as_str() {
                Some(cursor) => page = format!("{first}&cursor={cursor}"),
                None => return found,
            }
        }
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.expect("the server answers");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.expect("the whole answer arrives");
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Reply {
        status,
        headers,
        body,
        text,
    }
}
