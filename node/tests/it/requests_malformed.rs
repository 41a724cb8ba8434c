//! Goal: the API answers what it should and refuses the rest with the documented status and code.

use crate::node::Node;

fn post(node: &Node, headers: &str, body: &str) -> (u16, String) {
    node.raw(&format!(
        "POST /v1/tx HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        node.api
    ))
}

fn refused(answer: (u16, String), status: u16, code: &str) {
    let (found, text) = answer;
    assert_eq!(found, status, "{text}");
    assert!(text.contains(&format!("\"code\":\"{code}\"")), "{text}");
    assert!(
        text.to_ascii_lowercase()
            .contains("application/problem+json"),
        "{text}"
    );
}

fn heads_too_large_are_refused(node: &Node) {
    let with = |headers: &str| {
        node.raw(&format!(
            "GET /v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n",
            node.api
        ))
    };
    let long = |bytes: usize| format!("X-Long: {}\r\n", "a".repeat(bytes));
    assert_eq!(with(&long(15_000)).0, 200);
    refused(with(&long(17_000)), 431, "api.head_too_large");
    let many: String = (0..65).map(|n| format!("X-{n}: a\r\n")).collect();
    refused(with(&many), 431, "api.head_too_large");
}

#[test]
fn requests_are_judged_in_order() {
    let node = Node::start();
    assert_eq!(node.get("/v1/status").0, 200);
    assert_eq!(node.get("/livez").0, 200);
    refused(node.get("/v1/nothing"), 404, "api.not_found");
    refused(node.get("/metrics"), 404, "api.not_found");
    refused(node.get("/v1/admin/bans"), 404, "api.not_found");
    refused(node.get("/v1/%73tatus"), 400, "api.bad_request");
    refused(node.get("//v1/status"), 400, "api.bad_request");
    refused(node.get("/v1/../v1/status"), 400, "api.bad_request");
    let absolute = format!(
        "GET http://evil/v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        node.api
    );
    refused(node.raw(&absolute), 400, "api.bad_request");
    let foreign = "GET /v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    refused(node.raw(foreign), 421, "api.host");
    let method = format!(
        "DELETE /v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        node.api
    );
    refused(node.raw(&method), 405, "api.method");

    heads_too_large_are_refused(&node);
    refused(node.get("/v1/jobs?after=zz"), 400, "api.bad_request");
    refused(node.get("/v1/blocks/99999"), 404, "block.unknown");
    refused(node.get("/v1/accounts/pal1x"), 400, "account.malformed");

    refused(post(&node, "", ""), 411, "api.length_required");
    refused(
        post(&node, "Transfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        411,
        "api.length_required",
    );
    refused(
        post(&node, "Content-Length: 99999999\r\n", ""),
        413,
        "api.body_too_large",
    );
    refused(
        post(&node, "Content-Length: 3\r\n", "abc"),
        400,
        "tx.malformed",
    );
    let get_with_body = format!(
        "GET /v1/status HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        node.api
    );
    refused(node.raw(&get_with_body), 413, "api.body_too_large");

    let zero = "0".repeat(64);
    refused(node.get(&format!("/v1/jobs/{zero}")), 404, "job.unknown");
    refused(node.get(&format!("/v1/blobs/{zero}")), 404, "blob.missing");
    refused(
        node.get(&format!("/v1/models/{zero}")),
        404,
        "model.unknown",
    );
    refused(
        node.get("/v1/validators/palval1x"),
        404,
        "validator.unknown",
    );
    let put = format!(
        "PUT /v1/blobs/{zero} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        node.api
    );
    refused(node.raw(&put), 422, "blob.digest");
    assert_eq!(node.stop(), Some(0));
}
