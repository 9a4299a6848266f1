//! What every call carries besides its message: the token, and the caller's span.

use dockmgr_core::trace::TraceParent;
use dockmgr_support::channel::Bearer;
use dockmgr_support::secret::ApiToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// Adds them.
#[derive(Debug, Clone)]
pub(crate) struct Headers {
    bearer: Bearer,
    trace_parent: Option<MetadataValue<Ascii>>,
}

impl Headers {
    pub(crate) fn new(token: Option<&ApiToken>, parent: Option<TraceParent>) -> Self {
        let value = |parent: TraceParent| parent.to_string().parse().expect("digits and dashes are ASCII");
        Self { bearer: Bearer::new(token), trace_parent: parent.map(value) }
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(parent) = &self.trace_parent {
            request.metadata_mut().insert("traceparent", parent.clone());
        }
        self.bearer.call(request)
    }
}
