//! Sealed output in storage that speaks S3: what a person set, and a client with bounds.
//!
//! Owns where the objects are and how calls are repeated; which calls there are is the business of `place`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, RetryConfig};

/// Longest wait for a connection: one across an ocean takes half a second.
const CONNECT: &str = "5s";
/// Longest single request, bodies included: a part of 8 MiB at 300 kB a second.
const REQUEST: &str = "30s";
/// Tries after the first: the hiccups of a server that is there. One that is away is the business of who called, who can wait
/// longer or say so.
const TRIES: usize = 3;
/// No new try after so long: a caller gives up a little later.
const TRYING: Duration = Duration::from_secs(20);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A bucket and what the objects of this cluster begin with.
#[derive(Clone)]
pub struct S3 {
    bucket: String,
    prefix: Path,
    settings: Vec<(AmazonS3ConfigKey, String)>,
}

impl S3 {
    /// Reads `BUCKET` or `BUCKET/PREFIX`. Of `variables` those count that AWS's own tools know (`AWS_ENDPOINT_URL`,
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID` and so on).
    ///
    /// # Errors
    /// What is wrong, in words that show no secret.
    pub fn new(place: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, String> {
        let (bucket, prefix) = place.trim_end_matches('/').split_once('/').unwrap_or((place, ""));
        let bucket = bucket.trim_end_matches('/');
        if bucket.is_empty()
            || !bucket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        {
            return Err("is not s3://BUCKET or s3://BUCKET/PREFIX".to_owned());
        }
        let prefix = Path::parse(prefix).map_err(|error| format!("has a prefix that cannot be: {error}"))?;
        let known = |(name, value): (String, String)| {
            let key = name.strip_prefix("AWS_").map(|_| name.to_ascii_lowercase().parse())?.ok()?;
            Some((key, value))
        };
        let s3 = Self { bucket: bucket.to_owned(), prefix, settings: variables.filter_map(known).collect() };
        s3.check_exposure()?;
        s3.open().map_err(|error| error.to_string())?;
        Ok(s3)
    }

    /// The client; nothing is sent yet.
    pub(super) fn open(&self) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
        let mut builder = AmazonS3Builder::new()
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), CONNECT)
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), REQUEST)
            // Objects go one by one, and not every storage can do it for many at once.
            .with_disable_bulk_delete(true);
        for (key, value) in &self.settings {
            builder = builder.with_config(*key, value);
        }
        if self.is_on_loopback() {
            builder = builder.with_allow_http(true);
        }
        let backoff = BackoffConfig { init_backoff: FIRST_PAUSE, max_backoff: LONGEST_PAUSE, base: 2.0 };
        let retry = RetryConfig { backoff, max_retries: TRIES, retry_timeout: TRYING };
        let store = builder.with_bucket_name(&self.bucket).with_retry(retry).build()?;
        Ok((Arc::new(store), self.prefix.clone()))
    }

    /// Refuses to show output to a network by accident.
    fn check_exposure(&self) -> Result<(), String> {
        let allow = AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp);
        let plain = self.endpoint().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if !plain || self.is_on_loopback() || self.setting(allow) == Some("true") {
            return Ok(());
        }
        Err("goes over a network in the clear: give an https:// address, or AWS_ALLOW_HTTP=true if you mean it".to_owned())
    }

    fn is_on_loopback(&self) -> bool {
        let host = self.endpoint().and_then(|endpoint| endpoint.strip_prefix("http://"));
        host.is_some_and(|host| {
            ["127.0.0.1", "localhost", "[::1]"].iter().any(|local| {
                host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
            })
        })
    }

    fn endpoint(&self) -> Option<&str> {
        self.setting(AmazonS3ConfigKey::S3Endpoint).or_else(|| self.setting(AmazonS3ConfigKey::Endpoint))
    }

    fn setting(&self, wanted: AmazonS3ConfigKey) -> Option<&str> {
        self.settings.iter().rev().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_str())
    }
}

/// Without the settings: some are secret.
impl fmt::Display for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(place: &str, variables: &[(&str, &str)]) -> Result<S3, String> {
        S3::new(place, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn a_bucket_may_have_a_prefix_and_secrets_are_never_shown() {
        let secret = [("AWS_SECRET_ACCESS_KEY", "hush"), ("AWS_ACCESS_KEY_ID", "me"), ("HOME", "/")];
        for (place, shown) in
            [("logs", "s3://logs/"), ("logs/", "s3://logs/"), ("logs/of/mine/", "s3://logs/of/mine")]
        {
            assert_eq!(format!("{:?}", read(place, &secret).expect("good")), format!("S3({shown})"));
        }
        for wrong in ["", "/", "/x", "a b", "b/../c", "b?x/y"] {
            assert!(read(wrong, &[]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn output_goes_over_a_network_only_encrypted_unless_a_person_says_so() {
        for local in ["http://127.0.0.1:9000", "http://localhost", "http://[::1]:1/", "https://s3.example"] {
            assert!(read("b", &[("AWS_ENDPOINT_URL", local)]).is_ok(), "{local}");
        }
        let far = ("AWS_ENDPOINT_URL", "http://127.0.0.1.example:9000");
        assert!(read("b", &[far]).is_err());
        assert!(read("b", &[("AWS_ENDPOINT_URL_S3", far.1)]).is_err());
        assert!(read("b", &[far, ("AWS_ALLOW_HTTP", "true")]).is_ok());
    }
}
