//! The state of one container, read leniently.
//!
//! Owns the parsing. Every field may be missing, null or odd; what cannot be understood becomes unknown, and only an answer
//! that is no object at all is an error. The client library's types refuse a whole answer for one unknown word.

use std::collections::BTreeMap;

use dockmgr_core::time::WallTime;
use serde::Deserialize;
use serde_json::Value;

use super::super::error::clip;
use super::super::state::is_safe_name;
use super::super::{Call, ContainerId, ContainerState, ContainerStatus, Error};
use super::raw::{self, Kind};
use super::{Docker, deadline};

/// Largest answer read; a container's is about 10 KiB, with long environments some hundred.
const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// Inspects a container by id or name.
pub(super) async fn inspect(docker: &Docker, id_or_name: &str) -> Result<Option<ContainerState>, Error> {
    if !is_safe_name(id_or_name) {
        return Err(Error::InvalidSpec(format!("'{}' is not a container name", clip(id_or_name))));
    }
    let path = format!("/containers/{id_or_name}/json");
    let request = async {
        let answer = raw::exchange(docker, Call::Inspect, "GET", &path, Kind::Plain).await?;
        match answer.status {
            200 => Ok(Some(answer.body(Call::Inspect, BODY_LIMIT).await?)),
            404 => Ok(None),
            _ => Err(answer.into_refusal(docker, Call::Inspect).await),
        }
    };
    let body = docker.within(Call::Inspect, deadline::INSPECT, request).await?;
    body.map(|body| parse(&body)).transpose()
}

/// Reads the answer of an inspect request.
pub(super) fn parse(body: &[u8]) -> Result<ContainerState, Error> {
    let protocol = |message: String| Error::Protocol { call: Call::Inspect, message };
    let value: Value = serde_json::from_slice(body).map_err(|error| protocol(error.to_string()))?;
    let id = text(&value["Id"]);
    let id =
        ContainerId::parse(&id).ok_or_else(|| protocol(format!("'{}' is not a container id", clip(&id))))?;
    let state = &value["State"];
    Ok(ContainerState {
        id,
        name: text(&value["Name"]).trim_start_matches('/').to_owned(),
        labels: BTreeMap::<String, String>::deserialize(&value["Config"]["Labels"]).unwrap_or_default(),
        status: ContainerStatus::parse(&text(&state["Status"])),
        raw_exit_code: state["ExitCode"].as_i64(),
        oom_killed: state["OOMKilled"].as_bool().unwrap_or(false),
        error: clip(&text(&state["Error"])),
        started_at: time(&state["StartedAt"]),
        finished_at: time(&state["FinishedAt"]),
        pid: state["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        image_id: text(&value["Image"]),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Reads a time; the daemon writes the year 1 for "never".
fn time(value: &Value) -> Option<WallTime> {
    let time: jiff::Timestamp = value.as_str()?.parse().ok()?;
    (time.as_second() > 0).then(|| WallTime(time.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WHOLE: &str = r#"{"Id":"abc","Name":"/n","Image":"sha256:1","Config":{"Labels":{"a":"b"}},
        "State":{"Status":"exited","ExitCode":7,"OOMKilled":true,"Error":"","Pid":0,
        "StartedAt":"2026-01-02T03:04:05.678901234Z","FinishedAt":"2026-01-02T03:04:06Z"}}"#;

    #[test]
    fn a_whole_answer_is_read() {
        let state = parse(WHOLE.as_bytes()).expect("well formed");
        assert_eq!((state.name.as_str(), state.exit(), state.oom_killed), ("n", Some(7), true));
        assert_eq!(state.started_at, Some(WallTime(1_767_323_045_678)));
        assert_eq!(state.pid, None);
    }

    #[test]
    fn a_container_that_never_started_has_no_exit_code() {
        let never = WHOLE.replace("2026-01-02T03:04:05.678901234Z", "0001-01-01T00:00:00Z");
        assert_eq!(parse(never.as_bytes()).expect("well formed").exit(), None);
    }

    #[test]
    fn odd_values_become_unknown_and_never_success() {
        for (from, to) in [
            (r#""ExitCode":7"#, r#""ExitCode":300"#),
            (r#""ExitCode":7"#, r#""ExitCode":-1"#),
            (r#""ExitCode":7"#, r#""ExitCode":"0""#),
            (r#""exited""#, r#""vanished""#),
            (r#""exited""#, "null"),
            (r#""exited""#, r#""created""#),
        ] {
            let state = parse(WHOLE.replace(from, to).as_bytes()).expect("still an answer");
            assert_eq!(state.exit(), None, "{to}");
        }
        assert!(parse(b"[]").is_err() && parse(b"{\"Id\":\"../x\"}").is_err() && parse(b"{").is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(at in 0usize..400, byte in any::<u8>()) {
            let mut bytes = WHOLE.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _outcome = parse(&bytes);
        }
    }
}
