//! Requests to the wrong place: routes, methods, tokens, query parameters.

use crate::client::{assert_none_wrong, send};
use crate::payload;
use crate::server::Server;
use reqwest::Method;

#[tokio::test]
async fn every_api_route_wants_the_token() {
    let server = Server::start();
    let routes = [
        (Method::GET, "/api/v1/sources"),
        (Method::POST, "/api/v1/sources"),
        (Method::GET, "/api/v1/sources/src_1"),
        (Method::DELETE, "/api/v1/sources/src_1"),
        (Method::GET, "/api/v1/plugins"),
        (Method::GET, "/api/v1/plugins/gate"),
        (Method::POST, "/api/v1/plugins/gate/versions"),
        (Method::GET, "/api/v1/bindings"),
        (Method::POST, "/api/v1/bindings"),
        (Method::GET, "/api/v1/bindings/bnd_1"),
        (Method::DELETE, "/api/v1/bindings/bnd_1"),
        (Method::GET, "/api/v1/endpoints"),
        (Method::POST, "/api/v1/endpoints"),
        (Method::GET, "/api/v1/endpoints/ep_1"),
        (Method::PATCH, "/api/v1/endpoints/ep_1"),
        (Method::DELETE, "/api/v1/endpoints/ep_1"),
        (Method::POST, "/api/v1/endpoints/ep_1/rotate"),
        (Method::GET, "/api/v1/endpoints/ep_1/health"),
        (Method::POST, "/api/v1/endpoints/ep_1/recover"),
        (Method::GET, "/api/v1/deliveries"),
        (Method::GET, "/api/v1/deliveries/dlv_1"),
        (Method::POST, "/api/v1/deliveries/dlv_1/retry"),
        (Method::POST, "/api/v1/deliveries/retry"),
        (Method::GET, "/api/v1/jobs"),
        (Method::GET, "/api/v1/jobs/job_1"),
        (Method::GET, "/api/v1/events"),
        (Method::GET, "/api/v1/events/evt_1"),
        (Method::GET, "/api/v1/decisions"),
        (Method::POST, "/api/v1/webhooks/test"),
    ];
    let token = &server.token;
    let half = &token[..token.len() / 2];
    let credentials = [
        None,
        Some("Bearer".to_owned()),
        Some("Bearer ".to_owned()),
        Some(format!("Bearer {half}")),
        Some(format!("Bearer {token}x")),
        Some(format!("Basic {token}")),
        Some(token.clone()),
    ];
    for (method, path) in routes {
        for credential in &credentials {
            let mut request = server.request(method.clone(), path);
            if let Some(credential) = credential {
                request = request.header("authorization", credential);
            }
            let reply = send(request).await;
            println!("{method} {path} {credential:?}: {}", reply.text);
            reply.expect_problem(401, "unauthorized", None);
            assert!(!reply.text.contains(half), "the token stands in the answer");
        }
    }
}

#[tokio::test]
async fn health_needs_no_token() {
    let server = Server::start();
    let health = send(server.request(Method::GET, "/healthz"))
        .await
        .expect(200);
    assert_eq!(health["status"], "ok");
}

#[tokio::test]
async fn an_unknown_route_is_not_found() {
    let server = Server::start();
    for path in [
        "/",
        "/hooks",
        "/hooks/",
        "/api",
        "/api/v2/sources",
        "/favicon.ico",
    ] {
        let reply = send(server.request(Method::GET, path)).await;
        println!("{path}: {}", reply.text);
        reply.expect_problem(404, "not_found", None);
    }
    for path in [
        "/nothing",
        "/sources/src_1/bindings",
        "/plugins/gate/versions/1/2",
    ] {
        server
            .get(path)
            .await
            .expect_problem(404, "not_found", None);
    }
}

#[tokio::test]
async fn an_unknown_object_is_not_found() {
    let server = Server::start();
    let nowhere = "00000000-0000-7000-8000-000000000000";
    for path in [
        format!("/sources/src_{nowhere}"),
        format!("/bindings/bnd_{nowhere}"),
        format!("/events/evt_{nowhere}"),
        "/plugins/no-such-plugin".to_owned(),
        "/sources/nonsense".to_owned(),
        "/bindings/nonsense".to_owned(),
        "/events/nonsense".to_owned(),
    ] {
        let reply = server.get(&path).await;
        println!("{path}: {}", reply.text);
        reply.expect_problem(404, "not_found", None);
    }
    for path in [
        format!("/sources/src_{nowhere}"),
        format!("/bindings/bnd_{nowhere}"),
    ] {
        server
            .delete(&path)
            .await
            .expect_problem(404, "not_found", None);
    }
}

#[tokio::test]
async fn an_unknown_hook_is_an_unknown_source() {
    let server = Server::start();
    server.source("main-line").await;
    for id in [
        "src_00000000-0000-7000-8000-000000000000",
        "nonsense",
        "main-line",
        "%00",
        "..%2f",
    ] {
        let request = server
            .request(Method::POST, &format!("/hooks/{id}"))
            .json(&payload::start());
        let reply = send(request).await;
        println!("{id}: {}", reply.text);
        reply.expect_problem(404, "unknown_source", None);
    }
    assert!(server.all("/events").await.is_empty());
}

#[tokio::test]
async fn a_wrong_method_is_refused_with_the_right_ones_named() {
    let server = Server::start();
    let source = server.source("main-line").await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let reply = send(server.request(method, &source.hook_path)).await;
        reply.expect_problem(405, "method_not_allowed", None);
        assert_eq!(reply.header("allow"), "POST");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/sources", "POST"),
        (Method::POST, "/events", "GET"),
        (Method::DELETE, "/plugins", "GET"),
        (Method::PATCH, "/decisions", "GET"),
    ] {
        let reply = send(server.admin(method, path)).await;
        println!("{path}: {}", reply.text);
        reply.expect_problem(405, "method_not_allowed", None);
        assert!(
            reply.header("allow").contains(allowed),
            "{:?}",
            reply.headers
        );
    }
}

#[tokio::test]
async fn a_query_parameter_with_a_wrong_value_is_named() {
    let server = Server::start();
    let mut wrong = Vec::new();
    for (path, field) in [
        ("/events?limit=0", "limit"),
        ("/events?limit=201", "limit"),
        ("/events?limit=-1", "limit"),
        ("/events?limit=many", "limit"),
        ("/events?limit=", "limit"),
        ("/events?cursor=nonsense", "cursor"),
        ("/events?cursor=%F0%9F%92%A3", "cursor"),
        ("/events?kind=Call%20Begin", "kind"),
        ("/decisions?outcome=perhaps", "outcome"),
        ("/decisions?limit=0", "limit"),
        ("/sources?limit=x", "limit"),
        ("/bindings?cursor=x", "cursor"),
        ("/plugins?limit=1000", "limit"),
        // A typing mistake would otherwise look like "nothing found".
        ("/events?sorce=src_1", "sorce"),
    ] {
        let reply = server.get(path).await;
        if let Err(difference) = reply.is_problem(400, "invalid_parameter", Some(field)) {
            wrong.push(format!("{path}: {difference}"));
        }
    }
    assert_none_wrong(&wrong);
}
