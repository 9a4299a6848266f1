//! Where sealed output is kept.

use std::path::Path;

use super::{Error, setting};
use crate::logs::{S3, SealedAt};

/// What `--help` says.
pub(super) const HELP: &str = "Where output is kept once it has ended and is packed: s3://BUCKET/PREFIX, or a folder \
    other than LOGS/sealed. S3 is reached as the environment says: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, \
    AWS_SECRET_ACCESS_KEY";

/// Reads `--log-store`; endpoint, region and credentials of S3 come from the environment, as everywhere.
pub(super) fn checked(text: Option<String>) -> Result<Option<SealedAt>, Error> {
    let Some(text) = text else { return Ok(None) };
    if let Some(place) = text.strip_prefix("s3://") {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let s3 = S3::new(place, variables).map_err(|problem| setting("--log-store", problem))?;
        return Ok(Some(SealedAt::S3(s3)));
    }
    if Path::new(&text).is_absolute() {
        return Ok(Some(SealedAt::Folder(text.into())));
    }
    Err(setting("--log-store", "is neither s3://BUCKET/PREFIX nor the full path of a folder"))
}
