//! What goes back.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use serde_json::Value;

use crate::problem::Problem;

/// A handler's answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 200, a document.
    Json(Value),
    /// 202, a document.
    Accepted(Value),
    /// 201, nothing.
    Created,
    /// 200, bytes that never change.
    Bytes(Vec<u8>),
    /// 200, a text in this form.
    Text(&'static str, String),
    /// With this status, a document.
    Status(u16, Value),
    /// A stream.
    Stream(HttpResponse),
}

impl Answer {
    /// The response, with the headers that every answer has.
    pub(crate) fn into_response(self) -> HttpResponse {
        let mut response = match self {
            Self::Json(value) => json(StatusCode::OK, &value),
            Self::Accepted(value) => json(StatusCode::ACCEPTED, &value),
            Self::Status(status, value) => json(
                StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
                &value,
            ),
            Self::Created => HttpResponse::Created().finish(),
            Self::Bytes(bytes) => HttpResponse::Ok()
                .content_type("application/octet-stream")
                .body(bytes),
            Self::Text(form, text) => HttpResponse::Ok().content_type(form).body(text),
            Self::Stream(response) => response,
        };
        harden(&mut response);
        response
    }
}

fn json(status: StatusCode, value: &Value) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json")
        .body(value.to_string())
}

/// The response to a request that failed.
pub(crate) fn problem(
    problem: &Problem,
    request_id: &str,
    retry_after: Option<u64>,
) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut body = serde_json::to_value(problem).unwrap_or_default();
    body["request_id"] = request_id.into();
    let mut response = HttpResponse::build(status).body(body.to_string());
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == 401 {
        let headers = response.headers_mut();
        let accept = HeaderName::from_static("accept-signature");
        headers.insert(accept, HeaderValue::from_static(crate::auth::ACCEPTED));
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Signature"));
    }
    harden(&mut response);
    response
}

fn harden(response: &mut HttpResponse) {
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        let name = HeaderName::from_static(name);
        headers.insert(name, HeaderValue::from_static(value));
    };
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "no-referrer");
    if !response.headers().contains_key(CACHE_CONTROL) {
        response
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
