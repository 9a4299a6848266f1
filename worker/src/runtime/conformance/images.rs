//! Images and the daemon itself.

use tokio::sync::watch;

use super::Subject;
use crate::runtime::{Error, ImageFailure, PullProgress, Runtime};

pub(super) async fn an_image_that_is_not_here_is_refused_at_create(on: Subject) {
    let mut spec = on.spec("a", &["true"]);
    spec.image = "dockmgr-test/absent:1".to_owned();
    let error = on.runtime.create(&spec).await.expect_err("absent");
    assert!(
        matches!(&error, Error::Image { image, failure: ImageFailure::NotFound, .. } if *image == spec.image),
        "{error:?}"
    );
}

pub(super) async fn a_pull_from_nowhere_is_an_image_error(on: Subject) {
    let progress = watch::Sender::new(PullProgress::default());
    let error = on.runtime.pull("registry.invalid/absent:1", None, &progress).await.expect_err("nowhere");
    assert!(matches!(&error, Error::Image { .. }), "{error:?}");
}

pub(super) async fn an_image_that_is_here_is_found_by_name_and_id(on: Subject) {
    let by_name = on.runtime.inspect_image(&on.image).await.expect("answers").expect("is here");
    let by_id = on.runtime.inspect_image(&by_name.id).await.expect("answers").expect("is here");
    assert_eq!((&by_id, by_name.id.starts_with("sha256:"), by_name.size_bytes > 0), (&by_name, true, true));
    let listed = on.runtime.list_images().await.expect("lists");
    assert!(listed.iter().any(|image| image.id == by_name.id));
}

pub(super) async fn an_absent_image_is_none_and_its_removal_false(on: Subject) {
    assert_eq!(on.runtime.inspect_image("dockmgr-test/absent:1").await, Ok(None));
    assert_eq!(on.runtime.remove_image("dockmgr-test/absent:1").await, Ok(false));
}

pub(super) async fn a_reference_that_is_none_is_refused(on: Subject) {
    if !on.is_docker() {
        return; // The fake has no request path that could be left.
    }
    for bad in ["", "../containers", "a?b", "a b"] {
        assert!(matches!(on.runtime.inspect_image(bad).await, Err(Error::InvalidSpec(_))), "{bad:?}");
    }
}

pub(super) async fn the_daemon_describes_itself(on: Subject) {
    let info = on.runtime.info().await.expect("answers");
    assert!(
        !info.daemon_id.is_empty() && !info.api_version.is_empty() && !info.docker_root.is_empty(),
        "{info:?}"
    );
    assert!(info.cpus > 0 && info.memory_bytes > 0 && info.os == "linux", "{info:?}");
}
