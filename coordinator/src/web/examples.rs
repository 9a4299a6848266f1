//! Examples of requests in the `OpenAPI` document. They hold only what a request needs, and one thing that is worth knowing.

use serde_json::{Value, json};

/// The body of a call; `None` where an empty object will do.
pub(super) fn body(call: &str) -> Option<Value> {
    Some(match call {
        "JobService/CreateJob" => json!({
            "spec": {
                "name": "nightly-report",
                "image": "debian:stable-slim",
                "command": { "script": { "text": "echo making the report; exit 0" } },
                "resources": { "cpuMillis": "500", "memoryBytes": "268435456" },
                "labels": { "team": "search" },
                "timeout": "600s",
            },
            "requestId": "0192f0c1-2f6b-7cc3-98c4-dc0c0c07398f",
        }),
        "JobService/BatchCreateJobs" => json!({
            "requests": [
                { "spec": { "command": { "argv": { "args": ["echo", "one"] } } } },
                { "spec": {
                    "command": { "script": { "text": "echo $DOCKMGR_TASK" } }, "array": { "first": 0, "last": 3 },
                } },
            ],
        }),
        "JobService/StopJob" => json!({ "gracePeriod": "10s" }),
        "NodeService/DrainNode" => json!({ "deadline": "600s" }),
        "NodeService/DeleteNode" => json!({ "declareLost": true }),
        _ => return None,
    })
}

/// The value of a parameter, by the name of its field.
pub(super) fn parameter(call: &str, field: &str) -> Option<Value> {
    Some(match (call, field) {
        ("JobService/ListJobs" | "JobService/WatchJobs", "filter") => {
            json!("state = FAILED AND labels.team = \"search\"")
        }
        ("LogService/SearchLogs", "query") => json!("\"disk full\" level>=warn NOT job:7"),
        ("LogService/SearchLogs", "histogram_buckets") => json!(60),
        ("LogService/SearchLogs", "split") => json!("SEARCH_SPLIT_LEVEL"),
        ("JobService/WaitJob", "timeout") => json!("30s"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DynamicMessage;

    use super::*;
    use crate::web::contract::Contract;
    use crate::web::routes::{LINES, name};

    #[test]
    fn every_example_is_a_request_and_belongs_to_a_route() {
        let contract = Contract::new();
        let (mut bodies, mut parameters) = (0, 0);
        for line in LINES {
            let input = contract.method(line.call).expect("a test looks up every call of the table").input();
            if let Some(example) = body(line.call) {
                assert_eq!(line.verb, "POST", "{}", line.call);
                let in_path = line.path.split('/').filter_map(name).any(|name| example.get(name).is_some());
                assert!(!in_path, "{}: what is in the path is not in the body", line.call);
                let read = DynamicMessage::deserialize(input.clone(), example);
                read.unwrap_or_else(|error| panic!("{}: {error}", line.call));
                bodies += 1;
            }
            for field in input.fields() {
                let Some(example) = parameter(line.call, field.name()) else { continue };
                let one = json!({ field.json_name(): example });
                let read = DynamicMessage::deserialize(input.clone(), one);
                read.unwrap_or_else(|error| panic!("{} {}: {error}", line.call, field.name()));
                parameters += 1;
            }
        }
        assert_eq!((bodies, parameters), (5, 6), "none is for a call that is not there");
    }
}
