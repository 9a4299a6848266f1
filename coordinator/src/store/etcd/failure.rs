//! What etcd's errors mean to the coordinator.

use tonic::Code;

use super::Error;

/// Sorts an error by its gRPC status code. [`Error::Unavailable`] leaves open whether the call took effect; so
/// does [`Error::Exhausted`], because the write that passes the quota is applied *and* answered with an error; every other
/// error is etcd's own word that it did not.
pub(super) fn classify(action: &'static str, error: etcd_client::Error) -> Error {
    let etcd_client::Error::GRpcStatus(status) = &error else {
        return Error::Unavailable { action, source: Box::new(error) };
    };
    // HTTP/2 itself uses some codes too, and then says nothing about what etcd did.
    let from_etcd = status.message().starts_with("etcdserver:");
    match status.code() {
        Code::ResourceExhausted | Code::PermissionDenied if !from_etcd => {
            Error::Unavailable { action, source: Box::new(error) }
        }
        // No room (the NOSPACE alarm) or more requests than etcd queues.
        Code::ResourceExhausted => Error::Exhausted { action, source: status.message().to_owned().into() },
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented => Error::Refused { action, source: Box::new(error) },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Error::Unavailable { action, source: Box::new(error) },
    }
}

/// Whether the call surely reached no member: not even a connection was made.
pub(super) fn never_sent(error: &etcd_client::Error) -> bool {
    let etcd_client::Error::GRpcStatus(status) = error else { return false };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether etcd wants a new login: the old one ran out, or users or roles changed.
pub(super) fn login_is_outdated(error: &Error) -> bool {
    let Error::Refused { source, .. } = error else { return false };
    let Some(etcd_client::Error::GRpcStatus(status)) = source.downcast_ref() else { return false };
    ["etcdserver: revision of auth store is old", "etcdserver: invalid auth token"]
        .contains(&status.message())
}

/// Whether the call failed with `code`.
pub(super) fn has_code(error: &Error, wanted: Code) -> bool {
    let (Error::Unavailable { source, .. } | Error::Refused { source, .. }) = error else { return false };
    let status = source.downcast_ref::<etcd_client::Error>();
    matches!(status, Some(etcd_client::Error::GRpcStatus(status)) if status.code() == wanted)
}
