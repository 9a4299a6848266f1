//! A private Docker registry on loopback with one user.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::docker::{docker, try_docker};
use crate::process::Process;
use crate::{base_image, ports, wait_until};

/// The user the registry knows.
const USER: &str = "dora";
/// `dora:open sesame`, for the Docker configuration file.
const BASIC: &str = "ZG9yYTpvcGVuIHNlc2FtZQ==";
/// bcrypt of `open sesame`, as the registry wants it in its password file.
const HASH: &str = "$2b$05$ESGrKkAELuTtymyKEX/R2O91pFqkTTLka6ZdznaqwCFS6Y.CDEJCm";

/// A registry that wants a password.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`.
    pub host: String,
    _process: Process,
    folder: TempDir,
    pushed: Vec<String>,
}

impl Registry {
    /// Starts one; with `private` it asks for user and password.
    pub async fn start(private: bool) -> Self {
        let folder = TempDir::new().expect("a folder for the registry");
        let port = ports::free();
        let host = format!("127.0.0.1:{port}");
        let config = folder.path().join("registry.yml");
        let root = folder.path().display().to_string();
        let mut text = format!(
            "version: 0.1\nlog: {{ level: warn, accesslog: {{ disabled: false }} }}\nstorage: {{ filesystem: {{ rootdirectory: {root}/data }} }}\nhttp: {{ addr: \"{host}\" }}\n"
        );
        if private {
            text.push_str("auth: { htpasswd: { realm: test, path: ");
            text.push_str(&root);
            text.push_str("/users } }\n");
            fs::write(folder.path().join("users"), format!("{USER}:{HASH}\n")).expect("write the users");
        }
        fs::write(&config, text).expect("write the registry's settings");
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let process = Process::start("docker-registry", &mut command, &folder.path().join("registry.log"));
        wait_until("the registry", Duration::from_secs(30), async || {
            TcpStream::connect(("127.0.0.1", port)).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        Self { host, _process: process, folder, pushed: Vec::new() }
    }

    /// A folder with a Docker configuration that knows the password.
    pub fn docker_config(&self) -> PathBuf {
        self.write_config("config", BASIC)
    }

    /// A folder with a Docker configuration that has a wrong password.
    pub fn wrong_docker_config(&self) -> PathBuf {
        self.write_config("wrong", "ZG9yYTpzaHV0")
    }

    fn write_config(&self, name: &str, auth: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("make the folder");
        let text = format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}", self.host);
        fs::write(folder.join("config.json"), text).expect("write the Docker configuration");
        folder
    }

    /// Makes an image whose `/version` says `version`, pushes it as `name:tag` and removes it from the daemon.
    /// Returns its reference.
    pub async fn publish(&mut self, name: &str, tag: &str, version: &str) -> String {
        let image = format!("{}/{name}:{tag}", self.host);
        build(self.folder.path(), &image, version).await;
        let config = self.docker_config();
        docker(&["--config", &config.display().to_string(), "push", "-q", &image]).await;
        docker(&["rmi", &image]).await;
        self.pushed.push(image.clone());
        image
    }
}

impl Registry {
    /// Moves a tag that this daemon has to other content, as somebody on another machine might.
    pub async fn publish_elsewhere(&mut self, name: &str, tag: &str, version: &str) {
        let image = format!("{}/{name}:{tag}", self.host);
        let before = docker(&["image", "inspect", "--format", "{{.Id}}", &image]).await;
        build(self.folder.path(), &image, version).await;
        let config = self.docker_config();
        docker(&["--config", &config.display().to_string(), "push", "-q", &image]).await;
        docker(&["tag", &before, &image]).await;
    }

    /// How often a manifest of `name` was fetched so far.
    pub fn manifest_reads(&self, name: &str) -> usize {
        let log = fs::read_to_string(self.folder.path().join("registry.log")).expect("the registry logs");
        let wanted = format!("/v2/{name}/manifests/");
        log.lines().filter(|line| line.contains("\"GET ") && line.contains(&wanted)).count()
    }
}

/// Builds `image` from the base image with one file more.
pub async fn build(folder: &Path, image: &str, version: &str) {
    let context = folder.join("context");
    fs::create_dir_all(&context).expect("make the build context");
    fs::write(context.join("version"), format!("{version}\n")).expect("write the file");
    let dockerfile = format!("FROM {}\nCOPY version /version\nLABEL dockmgr.test=1\n", base_image());
    fs::write(context.join("Dockerfile"), dockerfile).expect("write the Dockerfile");
    try_docker(&["build", "-q", "-t", image, &context.display().to_string()]).await.expect("build an image");
}

impl Drop for Registry {
    fn drop(&mut self) {
        for image in &self.pushed {
            let mut command = std::process::Command::new("docker");
            command.args(["rmi", "-f", image]).stdin(std::process::Stdio::null());
            // The worker may have removed it already.
            let _gone = command.output();
        }
    }
}
