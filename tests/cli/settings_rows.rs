//! Settings the programs refuse: exit code 2 and a reason, before anything listens or is written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use dockmgr_tests::{ports, programs};
use tempfile::TempDir;
use tokio::process::Command;

/// Runs a program that must end by itself; its exit code and standard error.
async fn ended(program: &str, folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(programs::binary(program));
    command.env_clear().env("HOME", folder).current_dir(folder).args(args).kill_on_drop(true);
    let run = tokio::time::timeout(Duration::from_secs(20), command.output()).await;
    let Ok(output) = run else { return (None, "it goes on running".to_owned()) };
    let output = output.expect("the program starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) -> String {
    let path = folder.join(name);
    fs::write(&path, text).expect("write a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("set the mode");
    path.display().to_string()
}

/// Checks rows of arguments, exit code and a word of the reason; the data folder must not appear.
async fn check(program: &str, folder: &Path, rows: &[(&[&str], i32, &str)]) {
    let mut wrong = Vec::new();
    for (args, code, fragment) in rows {
        let data = folder.join("must-not-appear").display().to_string();
        let all = [args, &["--data", data.as_str()][..]].concat();
        let (seen, errors) = ended(program, folder, &all).await;
        let says = errors.to_lowercase().contains(&fragment.to_lowercase());
        if seen != Some(*code) || !says || errors.contains("panicked") {
            wrong.push(format!("{args:?}: {seen:?}, due {code} and '{fragment}': {errors}"));
        }
        if *code == 2 && Path::new(&data).exists() {
            wrong.push(format!("{args:?}: the data folder was made"));
            fs::remove_dir_all(&data).expect("remove it");
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_coordinator_refuses_settings_that_cannot_be_meant() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let open = write(at, "open", "0123456789abcdef\n", 0o644);
    let short = write(at, "short", "x\n", 0o600);
    let token = write(at, "token", "0123456789abcdef\n", 0o600);
    let unknown = write(at, "unknown.toml", "lissten = 'x'\n", 0o600);
    let unit = write(at, "unit.toml", "[timing]\nheartbeat = '2 parsecs'\n", 0o600);
    let tight = write(at, "tight.toml", "[timing]\nheartbeat = '2s'\nsuspect_after = '3s'\n", 0o600);
    let zero = write(at, "zero.toml", "[timing]\nkeep_finished = '0s'\n", 0o600);
    let key = write(at, "key.pem", "x\n", 0o644);
    let cert = write(at, "cert.pem", "x\n", 0o644);
    let here = at.display().to_string();
    let port = format!("127.0.0.1:{}", ports::free());
    let rows: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["--listen", "0.0.0.0:7443"], 2, "--insecure-bind"),
        (vec!["--listen", "0.0.0.0:7443", "--token-file", &token], 2, "--tls-cert"),
        (vec!["--listen", "[::]:7443"], 2, "--insecure-bind"),
        (vec!["--listen", "nonsense"], 2, "nonsense"),
        (vec!["--listen", "127.0.0.1:99999"], 2, "99999"),
        (vec!["--token-file", &open], 2, "chmod 600"),
        (vec!["--token-file", &short], 2, "token"),
        (vec!["--token-file", "/no/such/file"], 2, "/no/such/file"),
        (vec!["--token-file", "/dev/zero"], 2, "plain file"),
        (vec!["--config", &unknown], 2, "lissten"),
        (vec!["--config", &unit], 2, "parsecs"),
        (vec!["--config", &tight], 2, "suspect-after"),
        (vec!["--config", &zero], 2, "keep_finished"),
        (vec!["--config", &here], 2, "plain file"),
        (vec!["--config", "/dev/zero"], 2, "plain file"),
        (vec!["--store", "etcd"], 2, "--etcd"),
        (vec!["--etcd", "http://127.0.0.1:2379"], 2, "--store etcd"),
        (vec!["--store", "sqlite"], 2, "sqlite"),
        (vec!["--tls-cert", &cert], 2, "--tls-key"),
        (vec!["--tls-key", &key], 2, "--tls-cert"),
        (vec!["--tls-cert", &cert, "--tls-key", &key], 2, "chmod 600"),
        (vec!["--client-ca", &cert], 2, "--tls-cert"),
        (vec!["--default-image", "BB:1"], 2, "--default-image"),
        (vec!["--log-level", "loud=quiet=x"], 2, "log level"),
        (vec!["--nonsense"], 2, "--nonsense"),
        (vec!["--listen", &port, "--listen", &port], 2, "--listen"),
    ];
    let rows: Vec<(&[&str], i32, &str)> =
        rows.iter().map(|(args, code, word)| (args.as_slice(), *code, *word)).collect();
    check("dockmgr-coordinator", at, &rows).await;
}

#[tokio::test]
async fn a_coordinator_that_cannot_have_its_address_or_its_folder_says_so() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address.to_string(), taken)).expect("bound");
    let data = at.join("data").display().to_string();
    let (code, errors) = ended("dockmgr-coordinator", at, &["--listen", &taken.0, "--data", &data]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(&taken.0), "{errors}");
    let file = write(at, "file", "x", 0o600);
    let port = format!("127.0.0.1:{}", ports::free());
    let (code, errors) = ended("dockmgr-coordinator", at, &["--listen", &port, "--data", &file]).await;
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains(&file), "{errors}");
    let (code, errors) =
        ended("dockmgr-coordinator", at, &["--listen", &port, "--data", "/proc/nowhere"]).await;
    assert_eq!(code, Some(1), "{errors}");
}

#[tokio::test]
async fn a_worker_refuses_settings_that_cannot_be_meant() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let open = write(at, "open", "0123456789abcdef\n", 0o644);
    let unknown = write(at, "unknown.toml", "cpuss = 2\n", 0o600);
    let unit = write(at, "unit.toml", "[images]\nkeep_for = '1 fortnight'\n", 0o600);
    let here = at.display().to_string();
    let rows: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["--coordinator", "nonsense"], 2, "nonsense"),
        (vec!["--coordinator", "unix:/x"], 2, "unix"),
        (vec!["--coordinator", "http://user:secret@127.0.0.1:1"], 2, "--token-file"),
        (vec!["--cpus", "0"], 2, "cpus"),
        (vec!["--cpus", "NaN"], 2, "cpus"),
        (vec!["--cpus", "inf"], 2, "cpus"),
        (vec!["--cpus=-1"], 2, "cpus"),
        (vec!["--memory", "0"], 2, "memory"),
        (vec!["--memory", "lots"], 2, "memory"),
        (vec!["--memory", "99999999999g"], 2, "memory"),
        (vec!["--label", "a b=c"], 2, "label"),
        (vec!["--label", "novalue"], 2, "label"),
        (vec!["--label", "dockmgr.node=x"], 2, "label"),
        (vec!["--name", ""], 2, "name"),
        (vec!["--name", "a\u{1b}[2Jb"], 2, "name"),
        (vec!["--allow-mount", "relative"], 2, "mount"),
        (vec!["--token-file", &open], 2, "chmod 600"),
        (vec!["--token-file", "/no/such/file"], 2, "/no/such/file"),
        (vec!["--config", &unknown], 2, "cpuss"),
        (vec!["--config", &unit], 2, "keep_for"),
        (vec!["--config", &here], 2, "config"),
        (vec!["--runtime", "podman"], 2, "podman"),
        (vec!["--docker", "tcp://127.0.0.1:2375"], 2, "docker"),
        (vec!["--cert", "/x"], 2, "key"),
        (vec!["--nonsense"], 2, "--nonsense"),
    ];
    let rows: Vec<(&[&str], i32, &str)> =
        rows.iter().map(|(args, code, word)| (args.as_slice(), *code, *word)).collect();
    check("dockmgr-worker", at, &rows).await;
}
