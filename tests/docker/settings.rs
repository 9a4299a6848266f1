//! What a container may and may not do.

use dockmgr_tests::{Cluster, Store, debian_image, needs};
use tempfile::TempDir;

use crate::docker_cluster;

#[tokio::test]
async fn a_command_knows_who_it_is() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "echo $DOCKMGR_JOB $DOCKMGR_TASK $DOCKMGR_TASK_COUNT $DOCKMGR_ATTEMPT $DOCKMGR_NODE; echo $MINE; pwd; id -u";
    let output = cluster.run(["-e", "MINE=a b", "-w", "/tmp", "-u", "1234", script]).await.expect_code(0);
    assert_eq!(output.text(), "1 0 1 1 worker-0\na b\n/tmp\n1234");
    let copied = cluster.cli(["run", "-e", "GIVEN", "echo $GIVEN"]).env("GIVEN", "from outside").run().await;
    assert_eq!(copied.text(), "from outside");
}

#[tokio::test]
async fn ordinary_root_commands_work() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let image = debian_image();
    let script = "set -e; touch /tmp/x; chown nobody:nogroup /tmp/x; chmod 4755 /tmp/x; stat -c %U /tmp/x; \
                  su nobody -s /bin/sh -c 'id -un'; mkdir /opt/d && chown 1234 /opt/d && chmod 700 /opt/d; \
                  useradd -m dora && su - dora -c 'echo hello > ~/f && cat ~/f'";
    let output = cluster.run(["--image", &image, script]).await.expect_code(0);
    assert_eq!(output.text(), "nobody\nnobody\nhello");
}

/// A package of one file, made inside the container: no mirror is needed to show that the package manager works.
const LOCAL_PACKAGE: &str = "set -e; mkdir -p /p/DEBIAN /p/usr/share/dockmgr-test; echo content >/p/usr/share/dockmgr-test/file; \
    chown -R 12:34 /p/usr/share/dockmgr-test; \
    printf 'Package: dockmgr-test\\nVersion: 1.0\\nArchitecture: all\\nMaintainer: Test <test@example.invalid>\\nDescription: test\\n' >/p/DEBIAN/control; \
    printf '#!/bin/sh\\nset -e\\nadduser --system --no-create-home dockmgrtest 2>/dev/null || useradd -r dockmgrtest\\n' >/p/DEBIAN/postinst; \
    chmod 755 /p/DEBIAN/postinst; dpkg-deb -b /p /p.deb >/dev/null; \
    apt-get install -y /p.deb >/tmp/apt.log 2>&1 || { cat /tmp/apt.log; exit 1; }; \
    cat /usr/share/dockmgr-test/file; getent passwd dockmgrtest | cut -d: -f1";

#[tokio::test]
async fn apt_get_installs_a_package() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let output =
        cluster.run(["--image", &debian_image(), "--network", "none", LOCAL_PACKAGE]).await.expect_code(0);
    assert_eq!(output.text(), "content\ndockmgrtest");
}

#[tokio::test]
async fn what_no_ordinary_command_needs_is_denied() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "denied() { if \"$@\" 2>/dev/null; then echo \"allowed: $*\"; else echo no; fi; }; \
                  denied mount -t tmpfs none /mnt; denied sh -c 'echo 1 > /proc/sys/kernel/panic'; \
                  denied mknod /dev/x b 8 0; grep -c 'NoNewPrivs:.1' /proc/self/status; grep -c 'Seccomp:.2' /proc/self/status; \
                  ls /var/run/docker.sock 2>/dev/null || echo no";
    let output = cluster.run([script]).await;
    let text = output.text();
    assert!(!text.contains("allowed"), "{}", output.describe());
    let caps = cluster.run(["grep CapEff /proc/self/status"]).await.text();
    let caps =
        u64::from_str_radix(caps.split_whitespace().last().expect("a number"), 16).expect("hexadecimal");
    // sys_module 16, sys_rawio 17, sys_ptrace 19, sys_admin 21, sys_boot 22, sys_time 25: never.
    for forbidden in [12, 13, 16, 17, 19, 21, 22, 25] {
        assert_eq!(caps & (1 << forbidden), 0, "capability {forbidden} of {caps:#x}");
    }
    assert_eq!(text.lines().filter(|line| *line == "1").count(), 2, "no-new-privileges and seccomp: {text}");
}

#[tokio::test]
async fn the_network_is_there_unless_it_is_switched_off() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let interfaces = "ls /sys/class/net | tr '\\n' ' '";
    assert!(cluster.run([interfaces]).await.text().contains("eth0"));
    let none = cluster.run(["--network", "none", interfaces]).await;
    assert!(!none.text().contains("eth0"), "{}", none.describe());
}

#[tokio::test]
async fn a_read_only_container_writes_only_where_it_was_given_room() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let script = "touch /x 2>/dev/null && echo wrote; touch /scratch/x && echo room";
    let output =
        cluster.run(["--read-only", "--mount", "type=tmpfs,target=/scratch", script]).await.expect_code(0);
    assert_eq!(output.text(), "room");
}

#[tokio::test]
async fn host_folders_are_mounted_only_from_where_the_worker_allows_it() {
    if !needs::docker() {
        return;
    }
    let folder = TempDir::new().expect("a folder");
    let allowed = folder.path().join("allowed");
    std::fs::create_dir(&allowed).expect("make a folder");
    std::fs::write(allowed.join("file"), "from the host\n").expect("write a file");
    std::os::unix::fs::symlink("/etc", allowed.join("link")).expect("make a link");
    let allow = allowed.display().to_string();
    let cluster = Cluster::builder().docker().worker_args(&["--allow-mount", &allow]).start().await;
    let bind = |source: &str, more: &str| format!("type=bind,source={source},target=/data{more}");
    let read = "cat /data/file; echo written >/data/new && echo wrote";
    let output = cluster.run(["--mount", &bind(&allow, ""), read]).await.expect_code(0);
    assert_eq!(output.text(), "from the host\nwrote");
    let output = cluster.run(["--mount", &bind(&allow, ",readonly"), read]).await;
    assert_eq!(output.text(), "from the host", "{}", output.describe());
    for outside in
        ["/etc", "/", "/var/run/docker.sock", &format!("{allow}/../../etc"), &format!("{allow}/link")]
    {
        let output = cluster.run(["--mount", &bind(outside, ""), "ls /data"]).await;
        assert_eq!(output.code, 125, "{outside}: {}", output.describe());
        assert_eq!(output.text(), "", "{outside}");
    }
    cluster.expect_clean().await;
}

#[tokio::test]
async fn an_anonymous_volume_ends_with_its_container() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let before = dockmgr_tests::docker::docker(&["volume", "ls", "-q"]).await;
    let output = cluster
        .run(["--mount", "type=volume,target=/data", "touch /data/x && ls /data"])
        .await
        .expect_code(0);
    assert_eq!(output.text(), "x");
    cluster.expect_clean().await;
    dockmgr_tests::wait_until("the volume to be gone", dockmgr_tests::STEP_LIMIT, async || {
        let now = dockmgr_tests::docker::docker(&["volume", "ls", "-q"]).await;
        let new: Vec<&str> = now.lines().filter(|name| !before.contains(name)).collect();
        if new.is_empty() { Ok(()) } else { Err(format!("{new:?}")) }
    })
    .await;
}

#[tokio::test]
async fn the_images_entrypoint_is_used_only_when_asked_for() {
    let Some(cluster) = docker_cluster(Store::Redb).await else { return };
    let folder = TempDir::new().expect("a folder");
    let image = format!("dockmgr-test/entry:{}", std::process::id());
    let file = format!(
        "FROM {}\nENTRYPOINT [\"echo\", \"entry\"]\nLABEL dockmgr.test=1\n",
        dockmgr_tests::base_image()
    );
    std::fs::write(folder.path().join("Dockerfile"), file).expect("write the Dockerfile");
    dockmgr_tests::docker::docker(&["build", "-q", "-t", &image, &folder.path().display().to_string()]).await;
    let run = async |args: &[&str]| {
        let all = [&["--image", image.as_str(), "--pull", "never"], args].concat();
        cluster.run(all).await.expect_code(0).text()
    };
    assert_eq!(run(&["--", "echo", "plain"]).await, "plain");
    assert_eq!(run(&["--entrypoint", "image", "--", "x", "y"]).await, "entry x y");
    assert_eq!(run(&["--entrypoint", "/bin/echo", "--", "own", "y"]).await, "own y");
    dockmgr_tests::docker::docker(&["rmi", "-f", &image]).await;
}
