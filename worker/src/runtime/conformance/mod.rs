//! The behaviours every runtime must have, run against the fake and against a real Docker daemon.
//!
//! Owns the list and the ground each behaviour stands on ([`Subject`]). A behaviour is a plain async function; the list makes
//! one test of it for each runtime. Where the two need different commands for the same effect, the subject translates.

mod containers;
mod images;
mod output;
mod signals;
mod subject;

pub(super) use subject::{Subject, read_recovered};

/// Makes a test of every behaviour for each runtime.
macro_rules! behaviours {
    ($($group:ident: $($name:ident),+ $(,)?;)+) => {
        mod fake {
            $($(#[tokio::test] async fn $name() {
                super::Subject::fake().await.check(|subject| super::$group::$name(subject)).await;
            })+)+
        }
        mod docker {
            $($(#[tokio::test] async fn $name() {
                if let Some(subject) = super::Subject::docker().await {
                    subject.check(|subject| super::$group::$name(subject)).await;
                }
            })+)+
        }
    };
}

behaviours! {
    containers:
        a_command_ends_with_its_own_code,
        a_created_container_has_no_exit_and_waiting_for_it_returns_at_once,
        a_second_start_of_a_running_container_changes_nothing,
        an_exited_container_that_is_started_again_runs_again,
        a_taken_name_is_a_conflict,
        what_is_absent_is_none_or_not_found,
        a_name_that_could_leave_the_request_path_is_refused,
        a_missing_command_ends_with_127,
        a_command_that_is_not_executable_ends_with_126,
        an_empty_command_is_refused,
        the_environment_reaches_the_command,
        removal_is_idempotent,
        a_running_container_is_removed_only_by_force,
        the_list_finds_every_state_by_label_and_nothing_else,
        start_and_end_times_are_told,
        a_wait_ends_with_the_container,
        a_wait_ends_when_the_container_is_removed,
        a_wait_for_an_earlier_run_ends_at_once;
    signals:
        sigterm_ends_a_container_with_143,
        a_container_that_ignores_sigterm_dies_of_sigkill,
        a_trap_gets_its_time,
        a_signal_to_what_does_not_run_is_told,
        memory_exhaustion_ends_with_137_and_is_flagged,
        usage_is_known_while_it_runs_only;
    output:
        attach_before_start_gives_every_byte_of_both_streams,
        the_kept_log_gives_the_same_bytes_as_attach,
        lines_around_the_split_size_survive,
        an_unterminated_last_line_survives,
        empty_lines_survive,
        no_output_is_an_empty_log,
        the_kept_log_follows_a_running_container,
        leaving_an_attach_disturbs_nothing,
        the_log_of_an_absent_container_is_not_found;
    images:
        an_image_that_is_not_here_is_refused_at_create,
        a_pull_from_nowhere_is_an_image_error,
        an_image_that_is_here_is_found_by_name_and_id,
        an_absent_image_is_none_and_its_removal_false,
        a_reference_that_is_none_is_refused,
        the_daemon_describes_itself;
}
