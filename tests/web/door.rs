//! Who is refused: no token, foreign hosts and origins, changes that a form elsewhere could send, gRPC where it cannot be.

use dockmgr_tests::Cluster;
use dockmgr_tests::http::Http;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn calls_need_the_token_and_the_page_does_not() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster).without_token();
    for path in
        ["/jobs", "/overview", "/nodes", "/events", "/changes", "/search", "/jobs/1/output", "/jobs/1/logs"]
            .map(|path| format!("/api/v1{path}"))
    {
        let answer = http.send("GET", &path, &[], b"").await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "UNAUTHENTICATED"), "{path}");
        assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        let wrong = http.send("GET", &path, &[("authorization", "Bearer 0123456789abcdef0123")], b"").await;
        assert_eq!(wrong.status, 401, "{path}");
    }
    assert_eq!(http.send("POST", "/api/v1/jobs", &[JSON], b"{}").await.status, 401);
    let page = http.send("GET", "/", &[], b"").await;
    assert_eq!(page.status, 200);
    for words in [
        "content-security-policy: default-src 'none'",
        "x-content-type-options: nosniff",
        "x-frame-options: deny",
    ] {
        assert!(page.head.contains(words), "{words}: {}", page.head);
    }
}

#[tokio::test]
async fn pages_elsewhere_start_no_containers() {
    let cluster = Cluster::builder().coordinator_args(&["--web-host", "cluster.example"]).start().await;
    let http = Http::of(&cluster);
    let own = format!("http://{}", http.address());
    let job = br#"{"spec":{"command":{"script":{"text":"exit 0"}}}}"#;
    let foreign: [(&[(&str, &str)], u16); 8] = [
        (&[JSON, ("host", "evil.example")], 421),
        (&[JSON, ("host", "127.0.0.1.evil.example:80")], 421),
        (&[JSON, ("origin", "http://evil.example")], 403),
        (&[JSON, ("origin", "null")], 403),
        (&[JSON, ("sec-fetch-site", "cross-site")], 403),
        (&[("content-type", "text/plain")], 415),
        (&[("content-type", "application/x-www-form-urlencoded")], 415),
        (&[], 415),
    ];
    for (headers, status) in foreign {
        let answer = http.send("POST", "/api/v1/jobs", headers, job).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text());
        assert!(!answer.head.contains("access-control-"), "{}", answer.head);
    }
    assert_eq!(http.get("/jobs").await["jobs"].as_array(), None, "none of them made a job");
    let preflight = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    assert_eq!(http.send("OPTIONS", "/api/v1/jobs", &preflight, b"").await.status, 403);
    for headers in [
        &[JSON, ("origin", own.as_str())][..],
        &[JSON, ("host", "cluster.example"), ("origin", "https://cluster.example")],
    ] {
        assert_eq!(http.send("POST", "/api/v1/jobs", headers, job).await.status, 200, "{headers:?}");
    }
}

#[tokio::test]
async fn grpc_in_http_1_is_refused() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let grpc = [("content-type", "application/grpc"), ("te", "trailers")];
    let answer = http.send("POST", "/dockmgr.v1.JobService/ListJobs", &grpc, b"\0\0\0\0\0").await;
    assert_eq!(answer.status, 505);
    cluster.run(["exit 3"]).await.expect_code(3);
}
