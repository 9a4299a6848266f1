//! What went wrong, as JSON (RFC 9457): made from the statuses of gRPC calls, and from what never becomes a call.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// See the module.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: Code,
    reason: String,
    detail: String,
    violations: Vec<Value>,
    retry_after: Option<Duration>,
    allowed: Option<String>,
}

impl Problem {
    /// A request that is wrong before anybody was asked.
    pub(super) fn new(status: StatusCode, detail: &str) -> Self {
        let (code, reason) = match status {
            StatusCode::NOT_FOUND => (Code::NotFound, "PATH_NOT_FOUND"),
            StatusCode::PAYLOAD_TOO_LARGE => (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            _ => (Code::InvalidArgument, "INVALID_ARGUMENT"),
        };
        let (reason, detail) = (reason.to_owned(), detail.to_owned());
        Self { status, code, reason, detail, violations: Vec::new(), retry_after: None, allowed: None }
    }

    /// A field that is wrong.
    pub(super) fn field(name: &str, description: &str) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, &format!("{name}: {description}"));
        problem.violations = vec![json!({ "field": name, "description": description })];
        problem
    }

    /// A path that is there, for other methods.
    pub(super) fn method(allowed: &[Method]) -> Self {
        let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let mut problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, &format!("this path takes {allowed}"));
        problem.allowed = Some(allowed);
        problem
    }

    /// The same with another word for programs.
    pub(super) fn reason(mut self, reason: &str) -> Self {
        reason.clone_into(&mut self.reason);
        self
    }

    #[cfg(test)]
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// As the body of an answer or of an event.
    pub(super) fn to_json(&self) -> Value {
        let retryable = self.retry_after.is_some() || self.code == Code::Unavailable;
        let mut json = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": word(self.code),
            "reason": self.reason,
            "retryable": retryable,
        });
        if !self.violations.is_empty() {
            json["violations"] = Value::Array(self.violations.clone());
        }
        json
    }

    /// As an answer.
    pub(super) fn into_response(self) -> Response<Body> {
        let body = Bytes::from(self.to_json().to_string());
        let mut response = super::full(self.status, "application/problem+json", body);
        let headers = response.headers_mut();
        if let Some(allowed) = self.allowed.and_then(|allowed| HeaderValue::try_from(allowed).ok()) {
            headers.insert(header::ALLOW, allowed);
        }
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<Status> for Problem {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        let violations =
            violations.map(|one| json!({ "field": one.field, "description": one.description })).collect();
        let reason = details.error_info().map(|info| info.reason.clone());
        Self {
            status: http_status(status.code()),
            code: status.code(),
            reason: reason.unwrap_or_else(|| word(status.code()).to_owned()),
            detail: status.message().to_owned(),
            violations,
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
            allowed: None,
        }
    }
}

fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // The one that is meant has gone, so nobody reads it.
        Code::Cancelled => StatusCode::REQUEST_TIMEOUT,
        Code::InvalidArgument => StatusCode::BAD_REQUEST,
        Code::FailedPrecondition | Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::OutOfRange => StatusCode::GONE,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The canonical name of a code.
fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
