//! What is said of a node: reasons to give it no work, and warnings for a person. Pure.

use crate::runtime::DaemonInfo;

/// Why work is refused while the clock is off.
pub(super) fn clock_reason(permille: i64) -> String {
    let direction = if permille > 0 { "slower" } else { "faster" };
    let percent = permille.unsigned_abs() / 10;
    format!("clock: it runs {percent} % {direction} than the leader's, so no time limit can be relied on")
}

/// What a person should know of a daemon that answers.
pub(super) fn daemon_warnings(info: &DaemonInfo) -> Vec<String> {
    let mut warnings = Vec::new();
    if !info.live_restore {
        warnings.push(
            "live-restore is off: a restart of the Docker daemon ends the running containers".to_owned(),
        );
    }
    if writes_wrong_codes(&info.version) {
        warnings.push(format!(
            "Docker {} may tell exit code 0 of containers that a crash of the host ended (moby#45788): use 24.0.3 or later",
            info.version
        ));
    }
    warnings
}

/// Docker 24.0.0 to 24.0.2, whatever the packager added behind the number.
fn writes_wrong_codes(version: &str) -> bool {
    let number: String = version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    matches!(number.trim_end_matches('.'), "24.0.0" | "24.0.1" | "24.0.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, live_restore: bool) -> DaemonInfo {
        DaemonInfo { version: version.to_owned(), live_restore, ..DaemonInfo::default() }
    }

    #[test]
    fn live_restore_and_versions_with_wrong_codes_are_warned_of() {
        assert_eq!(daemon_warnings(&info("20.10.24+dfsg1", true)), Vec::<String>::new());
        assert!(daemon_warnings(&info("28.0.0", false))[0].starts_with("live-restore is off"));
        for (version, bad) in [
            ("24.0.0", true),
            ("24.0.2", true),
            ("24.0.2-0ubuntu1", true),
            ("24.0.3", false),
            ("24.0.20", false),
            ("23.0.2", false),
            ("fake", false),
            ("", false),
        ] {
            assert_eq!(daemon_warnings(&info(version, true)).len(), usize::from(bad), "{version}");
        }
    }

    #[test]
    fn the_direction_of_a_clock_is_told() {
        assert!(clock_reason(200).contains("20 % slower") && clock_reason(-60).contains("6 % faster"));
    }
}
