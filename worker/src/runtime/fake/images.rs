//! The fake daemon's images: any reference can be pulled, and its id follows from its name. Pure.

use super::model::Model;
use crate::runtime::{Error, ImageInfo};

/// Size every fake image claims.
const SIZE: u64 = 10 << 20;

impl Model {
    /// Adds the image `reference` as a pull would.
    pub(super) fn add_image(&mut self, reference: &str) -> ImageInfo {
        let id = match reference.split_once("@sha256:") {
            Some((_, digest)) => format!("sha256:{digest}"),
            None => format!("sha256:{}", digest(reference)),
        };
        let repository = reference.split('@').next().unwrap_or(reference);
        let image = ImageInfo {
            repo_digests: vec![format!("{}@{id}", without_tag(repository))],
            repo_tags: if reference.contains('@') { Vec::new() } else { vec![repository.to_owned()] },
            size_bytes: SIZE,
            architecture: std::env::consts::ARCH.to_owned(),
            id,
            ..ImageInfo::default()
        };
        self.images.insert(reference.to_owned(), image.clone());
        image
    }

    /// Removes an image that no container uses; `false` if it is not there.
    pub(super) fn remove_image(&mut self, reference: &str) -> Result<bool, Error> {
        let Some(id) = self.image(reference).map(|image| image.id.clone()) else { return Ok(false) };
        if self.uses_image(&id) {
            let message = "a container uses the image".to_owned();
            return Err(Error::Conflict { what: reference.to_owned(), message });
        }
        self.images.retain(|_, image| image.id != id);
        Ok(true)
    }
}

fn without_tag(repository: &str) -> &str {
    let last = repository.rfind('/').map_or(0, |slash| slash + 1);
    repository[last..].find(':').map_or(repository, |colon| &repository[..last + colon])
}

/// 64 hexadecimal digits that depend on `text` only.
fn digest(text: &str) -> String {
    let mut out = String::new();
    super::machine::generate(32, u64::from(crc32fast::hash(text.as_bytes())), |piece| {
        out.extend(piece.iter().map(|byte| format!("{byte:02x}")));
    });
    out
}
