//! Which path is which call: the one table that requests, the `OpenAPI` document and the tests read.
//!
//! What reads is `GET` with query parameters, what changes is `POST` with a JSON body; both name fields of the call's
//! request message, and so do the names in braces.

use http::Method;
use prost_reflect::MethodDescriptor;

use super::contract::Contract;

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One message as JSON.
    Unary,
    /// Messages as server-sent events.
    Events(Resume),
    /// The bytes of a job's output as a file.
    Output,
}

/// How a stream goes on where an earlier one ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resume {
    /// After a revision of the jobs.
    Revision,
    /// After the number of an event.
    Sequence,
    /// After the token of a step.
    Token,
    /// Not by an event: what it gives last says where.
    Never,
}

impl Resume {
    /// The field of the request that says where.
    pub(super) fn field(self) -> Option<&'static str> {
        match self {
            Self::Revision => Some("after_revision"),
            Self::Sequence => Some("after_sequence"),
            Self::Token => Some("resume_token"),
            Self::Never => None,
        }
    }

    /// A field that says where to begin, and has no meaning for who goes on.
    pub(super) fn overruled(self) -> Option<&'static str> {
        match self {
            Self::Sequence => Some("newest"),
            Self::Revision | Self::Token | Self::Never => None,
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) verb: &'static str,
    /// Below `/api/v1`.
    pub(super) path: &'static str,
    /// `Service/Method`.
    pub(super) call: &'static str,
    pub(super) shape: Shape,
}

const fn get(path: &'static str, call: &'static str) -> Line {
    Line { verb: "GET", path, call, shape: Shape::Unary }
}

const fn post(path: &'static str, call: &'static str) -> Line {
    Line { verb: "POST", path, call, shape: Shape::Unary }
}

const fn events(path: &'static str, call: &'static str, resume: Resume) -> Line {
    Line { verb: "GET", path, call, shape: Shape::Events(resume) }
}

/// The table. Where two lines fit a path, the first one counts.
pub(super) const LINES: [Line; 24] = [
    get("/jobs", "JobService/ListJobs"),
    post("/jobs", "JobService/CreateJob"),
    post("/jobs/batch", "JobService/BatchCreateJobs"),
    get("/jobs/{job}", "JobService/GetJob"),
    get("/jobs/{job}/tasks", "JobService/ListTasks"),
    get("/jobs/{job}/usage", "JobService/GetUsage"),
    get("/jobs/{job}/wait", "JobService/WaitJob"),
    post("/jobs/{job}/stop", "JobService/StopJob"),
    post("/jobs/{job}/kill", "JobService/KillJob"),
    post("/jobs/{job}/retry", "JobService/RetryJob"),
    post("/jobs/{job}/pin", "JobService/PinJob"),
    post("/jobs/{job}/unpin", "JobService/UnpinJob"),
    post("/jobs/{job}/delete", "JobService/DeleteJob"),
    events("/jobs/{job}/logs", "LogService/TailLogs", Resume::Token),
    Line { verb: "GET", path: "/jobs/{job}/output", call: "LogService/TailLogs", shape: Shape::Output },
    events("/search", "LogService/SearchLogs", Resume::Never),
    events("/changes", "JobService/WatchJobs", Resume::Revision),
    events("/events", "EventService/WatchEvents", Resume::Sequence),
    get("/overview", "ClusterService/GetOverview"),
    get("/nodes", "NodeService/ListNodes"),
    get("/nodes/{node}", "NodeService/GetNode"),
    post("/nodes/{node}/drain", "NodeService/DrainNode"),
    post("/nodes/{node}/resume", "NodeService/ResumeNode"),
    post("/nodes/{node}/delete", "NodeService/DeleteNode"),
];

/// A line with the call it means.
#[derive(Debug)]
pub(super) struct Route {
    verb: Method,
    pattern: Vec<&'static str>,
    pub(super) shape: Shape,
    pub(super) method: MethodDescriptor,
}

/// What a path means.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A call, and what the names in braces stand for.
    Route(&'a Route, Vec<(&'static str, String)>),
    /// The path is there for these methods.
    OtherMethods(Vec<Method>),
    /// There is no such path.
    Nothing,
}

/// The table, ready to be asked.
#[derive(Debug)]
pub(super) struct Routes(Vec<Route>);

impl Routes {
    pub(super) fn new(contract: &Contract) -> Self {
        let route = |line: &Line| Route {
            verb: if line.verb == "GET" { Method::GET } else { Method::POST },
            pattern: line.path.split('/').skip(1).collect(),
            shape: line.shape,
            method: contract.method(line.call).expect("a test looks up every call of the table"),
        };
        Self(LINES.iter().map(route).collect())
    }

    /// Looks up a path below `/api/v1`.
    pub(super) fn find(&self, verb: &Method, path: &str) -> Found<'_> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let mut others = Vec::new();
        for route in &self.0 {
            let Some(names) = fit(&route.pattern, &parts) else { continue };
            if route.verb == *verb {
                return Found::Route(route, names);
            }
            if !others.contains(&route.verb) {
                others.push(route.verb.clone());
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }
}

/// The name in braces, if that is what a part of a path is.
pub(super) fn name(part: &'static str) -> Option<&'static str> {
    part.strip_prefix('{')?.strip_suffix('}')
}

fn fit(pattern: &[&'static str], parts: &[&str]) -> Option<Vec<(&'static str, String)>> {
    if pattern.len() != parts.len() {
        return None;
    }
    let mut names = Vec::new();
    for (wanted, given) in pattern.iter().zip(parts) {
        match name(wanted) {
            Some(name) => names.push((name, super::request::decoded(given).filter(|text| !text.is_empty())?)),
            None if wanted == given => {}
            None => return None,
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_names_a_call_and_its_fields() {
        let contract = Contract::new();
        for line in LINES {
            let method = contract.method(line.call).unwrap_or_else(|| panic!("there is no {}", line.call));
            for name in line.path.split('/').filter_map(name) {
                assert!(method.input().get_field_by_name(name).is_some(), "{} has no {name}", line.call);
            }
            assert_eq!(method.is_server_streaming(), line.shape != Shape::Unary, "{}", line.call);
            if let Shape::Events(resume) = line.shape {
                for field in resume.field().into_iter().chain(resume.overruled()) {
                    assert!(
                        method.input().get_field_by_name(field).is_some(),
                        "{} has no {field}",
                        line.call
                    );
                }
            }
        }
    }

    #[test]
    fn paths_are_found_with_their_names_and_methods() {
        let routes = Routes::new(&Contract::new());
        let found = |verb, path: &str| match routes.find(&verb, path) {
            Found::Route(route, names) => format!("{} {names:?}", route.method.name()),
            Found::OtherMethods(others) => format!("{others:?}"),
            Found::Nothing => "nothing".to_owned(),
        };
        assert_eq!(found(Method::GET, "/jobs"), "ListJobs []");
        assert_eq!(found(Method::POST, "/jobs/batch"), "BatchCreateJobs []");
        assert_eq!(found(Method::GET, "/jobs/batch"), r#"GetJob [("job", "batch")]"#);
        assert_eq!(found(Method::GET, "/jobs/a%2Fb/tasks"), r#"ListTasks [("job", "a/b")]"#);
        assert_eq!(found(Method::PUT, "/jobs"), "[GET, POST]");
        for path in ["", "/", "/jobs/", "/jobs//stop", "/jobs/%ff", "/jobs/1/tasks/2", "/joobs"] {
            assert_eq!(found(Method::GET, path), "nothing", "{path}");
        }
    }
}
