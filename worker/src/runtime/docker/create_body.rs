//! From the allow-list specification to the daemon's create request.
//!
//! Owns every fixed setting of our containers and the reason for it; pure. Nothing a user says reaches a field that is not
//! named here. The capability list is argued in `docs/adr/0003-container-capabilities.md`.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, DeviceRequest, HostConfig, HostConfigLogConfig, Mount as ApiMount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, RestartPolicy, RestartPolicyNameEnum,
};

use super::super::{Command, ContainerSpec, Error, Mount, Network};

/// What root in a container may do beyond a plain user: what package managers, `chown`, `su`, `useradd` and service
/// scripts need, and no more.
pub(super) const CAPABILITIES: [&str; 11] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
];

/// Smallest log file: below this the daemon's framing overhead of short lines could reach the limit before our cap does.
const LOG_FILE_MIN: u64 = 20 << 20;

/// Makes the create request for `spec`.
pub(super) fn create_body(spec: &ContainerSpec) -> Result<ContainerCreateBody, Error> {
    let (entrypoint, command) = match &spec.command {
        // Naming the first word as entry point replaces the image's, and with it the image's own command.
        Command::Exact(argv) => match argv.split_first() {
            Some((first, rest)) if !first.is_empty() => (Some(vec![first.clone()]), rest.to_vec()),
            _ => return Err(Error::InvalidSpec("the command is empty".to_owned())),
        },
        Command::ImageEntrypoint(arguments) => (None, arguments.clone()),
    };
    Ok(ContainerCreateBody {
        image: Some(spec.image.clone()),
        entrypoint,
        cmd: (!command.is_empty()).then_some(command),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        working_dir: spec.working_dir.clone(),
        user: spec.user.clone(),
        stop_signal: spec.stop_signal.clone(),
        tty: Some(false),
        open_stdin: Some(false),
        attach_stdin: Some(false),
        attach_stdout: Some(false),
        attach_stderr: Some(false),
        host_config: Some(host_config(spec)?),
        ..Default::default()
    })
}

fn host_config(spec: &ContainerSpec) -> Result<HostConfig, Error> {
    let memory = signed("memory", spec.memory_bytes)?;
    Ok(HostConfig {
        // A reaper as process 1 makes SIGTERM work, and a start never fails for the command's own fault.
        init: Some(true),
        // An ended container stays until its result and output are durable; the daemon must never restart or remove it.
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        log_config: Some(log_config(spec.log_cap_bytes)),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: Some(CAPABILITIES.iter().map(|name| (*name).to_owned()).collect()),
        privileged: Some(false),
        publish_all_ports: Some(false),
        nano_cpus: Some(signed("cpu", spec.cpu_millis.saturating_mul(1_000_000))?),
        memory: Some(memory),
        // Equal to memory: no swap on top of the limit.
        memory_swap: Some(memory),
        pids_limit: Some(i64::from(spec.pids_limit)),
        oom_score_adj: Some(i64::from(spec.oom_score_adj)),
        shm_size: spec.shm_bytes.map(|bytes| signed("shm", bytes)).transpose()?,
        readonly_rootfs: Some(spec.read_only),
        network_mode: Some(match spec.network {
            Network::Outbound => "default".to_owned(),
            Network::None => "none".to_owned(),
        }),
        device_requests: gpu_request(spec.gpus),
        mounts: Some(spec.mounts.iter().filter_map(api_mount).collect()),
        tmpfs: Some(spec.mounts.iter().filter_map(tmpfs_entry).collect()),
        ..Default::default()
    })
}

/// The daemon's binary-safe log driver as one file that is never rotated or compressed below our own cap: a rotation while
/// somebody follows loses and repeats lines (moby#23913).
fn log_config(cap_bytes: u64) -> HostConfigLogConfig {
    let size = cap_bytes.saturating_mul(2).max(LOG_FILE_MIN);
    let options =
        [("max-file", "1".to_owned()), ("compress", "false".to_owned()), ("max-size", size.to_string())];
    HostConfigLogConfig {
        typ: Some("local".to_owned()),
        config: Some(options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
    }
}

fn gpu_request(count: u32) -> Option<Vec<DeviceRequest>> {
    (count > 0).then(|| {
        vec![DeviceRequest {
            count: Some(i64::from(count)),
            capabilities: Some(vec![vec!["gpu".to_owned()]]),
            ..Default::default()
        }]
    })
}

fn api_mount(mount: &Mount) -> Option<ApiMount> {
    match mount {
        Mount::Bind { source, target, read_only } => Some(ApiMount {
            typ: Some(MountType::BIND),
            source: Some(source.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            bind_options: Some(MountBindOptions {
                // What the host mounts later below the folder must not appear inside, nor the other way round.
                propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
                ..Default::default()
            }),
            ..Default::default()
        }),
        Mount::Volume { source, target, read_only } => Some(ApiMount {
            typ: Some(MountType::VOLUME),
            source: Some(source.clone()),
            target: Some(target.clone()),
            read_only: Some(*read_only),
            ..Default::default()
        }),
        Mount::Tmpfs { .. } => None,
    }
}

/// In this form, unlike as a mount, the daemon passes on an owner.
fn tmpfs_entry(mount: &Mount) -> Option<(String, String)> {
    match mount {
        Mount::Tmpfs { target, size_bytes, owner } => {
            let owner = owner.map_or_else(String::new, |(uid, gid)| format!(",uid={uid},gid={gid}"));
            Some((target.clone(), format!("rw,noexec,nosuid,nodev,size={size_bytes}{owner}")))
        }
        Mount::Bind { .. } | Mount::Volume { .. } => None,
    }
}

fn signed(what: &str, value: u64) -> Result<i64, Error> {
    i64::try_from(value).map_err(|_| Error::InvalidSpec(format!("{what} is out of range: {value}")))
}

/// The daemon's label filter.
pub(super) fn label_filter<'a>(
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> HashMap<String, Vec<String>> {
    let wanted = labels.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    HashMap::from([("label".to_owned(), wanted)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(spec: &ContainerSpec) -> HostConfig {
        create_body(spec).expect("valid").host_config.expect("always set")
    }

    #[test]
    fn the_safe_settings_are_fixed() {
        let host = host(&ContainerSpec::new("n", "i", vec!["true".into()]));
        assert_eq!(host.init, Some(true));
        assert_eq!(host.auto_remove, Some(false));
        assert_eq!(host.privileged, Some(false));
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.security_opt, Some(vec!["no-new-privileges:true".to_owned()]));
        assert_eq!(host.memory_swap, host.memory);
        assert_eq!(host.log_config.and_then(|log| log.typ).as_deref(), Some("local"));
    }

    #[test]
    fn the_log_file_is_twice_the_cap_and_never_tiny() {
        let size = |cap| log_config(cap).config.expect("set")["max-size"].clone();
        assert_eq!(size(256 << 20), (512u64 << 20).to_string());
        assert_eq!(size(1), (20u64 << 20).to_string());
        assert_eq!(size(u64::MAX), u64::MAX.to_string());
    }

    #[test]
    fn an_exact_command_replaces_the_entry_point() {
        let body = create_body(&ContainerSpec::new("n", "i", vec!["a".into(), "b".into()])).expect("valid");
        assert_eq!((body.entrypoint, body.cmd), (Some(vec!["a".to_owned()]), Some(vec!["b".to_owned()])));
        assert!(create_body(&ContainerSpec::new("n", "i", vec![])).is_err());
    }
}
