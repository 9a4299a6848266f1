//! The model's images: any reference can be pulled, and its id follows from its name.

use super::model::{Daemon, Refused};

/// An image the daemon has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Content id, `sha256:...`.
    pub id: String,
    /// `name@sha256:...`.
    pub repo_digest: String,
    /// `name:tag`, unless it was pulled by digest.
    pub repo_tag: Option<String>,
}

impl Daemon {
    /// Adds the image `reference` as a pull would.
    pub fn add_image(&mut self, reference: &str) -> Image {
        let id = match reference.split_once("@sha256:") {
            Some((_, digest)) => format!("sha256:{digest}"),
            None => format!("sha256:{}", digest(reference)),
        };
        let repository = reference.split('@').next().unwrap_or(reference);
        let image = Image {
            repo_digest: format!("{}@{id}", without_tag(repository)),
            repo_tag: (!reference.contains('@')).then(|| repository.to_owned()),
            id,
        };
        self.images.insert(reference.to_owned(), image.clone());
        image
    }

    /// Removes an image that no container uses; `false` if it is not there.
    pub fn remove_image(&mut self, reference: &str) -> Result<bool, Refused> {
        let Some(id) = self.image(reference).map(|image| image.id.clone()) else { return Ok(false) };
        if self.uses_image(&id) {
            return Err(Refused::ImageInUse);
        }
        self.images.retain(|_, image| image.id != id);
        Ok(true)
    }

    /// The image by reference, digest or id.
    pub fn image(&self, reference: &str) -> Option<&Image> {
        self.images.get(reference).or_else(|| {
            self.images.values().find(|image| image.id == reference || image.repo_digest == reference)
        })
    }

    /// All images.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &Image> {
        self.images.values()
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
