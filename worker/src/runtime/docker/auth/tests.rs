use std::os::unix::fs::PermissionsExt;

use super::*;

fn folder_with(config: &str) -> (tempfile::TempDir, Credentials) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("config.json"), config).expect("written");
    let credentials = Credentials::in_folder(folder.path());
    (folder, credentials)
}

#[tokio::test]
async fn a_login_is_found_by_the_registry_of_the_image() {
    let encoded = STANDARD.encode("me:se:cret");
    let (_folder, credentials) = folder_with(&format!(
        r#"{{"auths":{{"127.0.0.1:5000":{{"auth":"{encoded}"}},"https://index.docker.io/v1/":{{"auth":"{encoded}"}}}}}}"#
    ));
    for image in ["127.0.0.1:5000/a/b:c", "debian", "library/debian:12", "docker.io/x/y"] {
        let found = credentials.for_image(image).await.expect("readable").expect(image);
        assert_eq!((found.username.as_str(), found.password.as_str()), ("me", "se:cret"), "{image}");
    }
    assert_eq!(credentials.for_image("other.example/x").await.expect("readable"), None);
}

#[tokio::test]
async fn no_file_means_no_credentials_and_a_bad_file_is_told_without_its_text() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(Credentials::in_folder(folder.path()).for_image("a").await.expect("absent is fine"), None);
    let (_folder, credentials) = folder_with(r#"{"auths": {"a.b": {"auth": "hunter2"}}, "#);
    let error = credentials.for_image("a.b/c").await.expect_err("no JSON").to_string();
    assert!(error.contains("line 1") && !error.contains("hunter2"), "{error}");
    let (_folder, credentials) = folder_with(r#"{"auths": {"a.b": {"auth": "hunter2"}}}"#);
    let error = credentials.for_image("a.b/c").await.expect_err("no pair").to_string();
    assert!(error.contains("a.b") && !error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_missing_helper_is_named() {
    let (_folder, credentials) = folder_with(r#"{"credHelpers":{"a.b":"surely-absent"}}"#);
    let error = credentials.for_image("a.b/c").await.expect_err("no such program").to_string();
    assert!(error.contains("docker-credential-surely-absent") && error.contains("a.b"), "{error}");
    let (_folder, credentials) = folder_with(r#"{"credsStore":"../evil"}"#);
    assert!(credentials.for_image("a.b/c").await.is_err());
}

#[tokio::test]
async fn a_helper_answers_on_its_stdout() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("helper");
    let script = "#!/bin/sh\nread host\n[ \"$host\" = a.b ] || { echo 'credentials not found in native keychain'; exit 1; }\necho '{\"ServerURL\":\"a.b\",\"Username\":\"me\",\"Secret\":\"s\"}'\n";
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("made executable");
    let program = program.to_str().expect("text");
    let (ok, answer) = helper::exchange(program, "a.b").await.expect("runs");
    assert!(ok && String::from_utf8_lossy(&answer).contains("\"Secret\""));
    let (ok, answer) = helper::exchange(program, "c.d").await.expect("runs");
    assert!(!ok && String::from_utf8_lossy(&answer).contains(helper::NOT_FOUND));
}

#[test]
fn the_registry_of_an_image_is_its_first_part_if_that_is_a_host() {
    for (image, host) in [
        ("debian", "docker.io"),
        ("a/b", "docker.io"),
        ("localhost/a", "localhost"),
        ("a.b/c", "a.b"),
        ("h:1/c:d", "h:1"),
    ] {
        assert_eq!(registry_host(image), host, "{image}");
    }
}
