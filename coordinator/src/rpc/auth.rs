//! Who may call: everybody where no token is set, else whoever sends it.

use dockmgr_support::secret::ApiToken;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::status;

/// Checks the `authorization` header of every call before its body is read.
#[derive(Debug, Clone)]
pub(crate) struct Gate(Option<ApiToken>);

impl Gate {
    /// A gate that asks for `token`, or for nothing.
    pub(crate) fn new(token: Option<ApiToken>) -> Self {
        Self(token)
    }
}

impl Interceptor for Gate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let Some(token) = &self.0 else { return Ok(request) };
        let mut headers = request.metadata().get_all("authorization").iter();
        let (Some(header), None) = (headers.next(), headers.next()) else {
            return Err(status::unauthenticated(
                "this coordinator asks for an API token: send one authorization header",
            ));
        };
        let given = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer "));
        match given {
            Some(given) if token.matches(given) => Ok(request),
            Some(_) | None => Err(status::unauthenticated("the API token is wrong")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_right_header_passes() {
        let token = ApiToken::parse("0123456789abcdef").expect("long enough");
        let mut gate = Gate::new(Some(token));
        let mut with = |headers: &[&str]| {
            let mut request = Request::new(());
            for header in headers {
                request.metadata_mut().append("authorization", header.parse().expect("ascii"));
            }
            gate.call(request).is_ok()
        };
        assert!(with(&["Bearer 0123456789abcdef"]));
        for wrong in [
            &[][..],
            &["Bearer wrong0123456789"],
            &["0123456789abcdef"],
            &["bearer 0123456789abcdef"],
            &["Bearer 0123456789abcdef", "Bearer 0123456789abcdef"],
        ] {
            assert!(!with(wrong), "{wrong:?}");
        }
        assert!(Gate::new(None).call(Request::new(())).is_ok());
    }
}
