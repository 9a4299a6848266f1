//! Ways to a page: the address that `dev` prints, TLS, a link to a line, the keys alone, a small screen.

use dockmgr_tests::browser::Browser;
use dockmgr_tests::dev::Dev;
use dockmgr_tests::http::Http;
use dockmgr_tests::process::Process;
use dockmgr_tests::{Cluster, STEP_LIMIT, ports, programs, wait_until};
use serde_json::json;
use tokio::process::Command;

use crate::page::{checked, opened, script, submit};

async fn press(browser: &mut Browser, key: &str, shift: bool) {
    let modifiers = if shift { 8 } else { 0 };
    for kind in ["rawKeyDown", "keyUp"] {
        let event = json!({ "type": kind, "key": key, "code": key, "modifiers": modifiers });
        browser.ask("Input.dispatchKeyEvent", event).await;
    }
}

/// Some lines of every level.
async fn talk(http: &Http) -> String {
    let text = "for i in 1 2 3 4 5 6 7 8; do echo level=info msg=\"request $i served\"; done; echo level=warn msg=slow; echo level=error msg=\"disk full\" >&2; seq 1 5000; echo level=error msg=\"again: disk full\" >&2";
    let id = submit(http, json!({ "name": "server", "command": { "script": { "text": text } } })).await;
    http.get(&format!("/jobs/{id}/wait")).await;
    id
}

#[tokio::test]
async fn a_hit_leads_to_its_line_and_a_line_has_an_address() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let id = talk(&http).await;
    let mut browser = opened(&cluster, "/logs?q=%22disk%20full%22%20again&span=1h").await;
    browser.until("document.querySelectorAll('.hit').length === 1").await;
    browser.eval("document.querySelector('.hit a.t').click()").await;
    let marked = "document.querySelector('.row[data-hit] .l')?.innerText";
    browser.until(&format!("{marked} === 'level=error msg=again: disk full'")).await;
    let place = browser.eval("new URLSearchParams(location.search).get('at')").await;
    assert!(place.as_str().is_some_and(|place| place.starts_with("1.err.")), "{place}");
    checked(&mut browser, "line").await;
    browser.eval("document.querySelector('.log-body').scrollTop = 0").await;
    let row = "[...document.querySelectorAll('.row')].find(row => row.querySelector('.l').innerText.includes('request 3'))";
    browser.until(row).await;
    browser.eval(&format!("{row}.querySelector('.n').click()")).await;
    let address = browser.eval("location.pathname + location.search").await;
    let address = address.as_str().expect("text").to_owned();
    assert!(address.starts_with(&format!("/jobs/{id}?at=1.out.")), "{address}");
    browser.open(&format!("{}{address}", cluster.server())).await;
    browser.until(&format!("{marked} === 'level=info msg=request 3 served'")).await;
    browser.open(&format!("{}/jobs/{id}?at=1.out.3", cluster.server())).await;
    browser.shows("the line of the address is not in it").await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn one_search_counts_by_level_and_the_keys_zoom_into_it() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    talk(&http).await;
    let mut browser = opened(&cluster, "/logs?q=msg&span=15m&split=level").await;
    browser.until("document.querySelectorAll('.hit').length === 11").await;
    for words in ["2 error", "1 warn", "8 info", "0 other"] {
        browser.shows(words).await;
    }
    let counts =
        "performance.getEntriesByType('resource').filter(one => one.name.includes('countOnly')).length";
    assert_eq!(browser.eval(counts).await, 1, "one call counts all levels");
    browser.eval("document.querySelector('.chart-box').focus()").await;
    press(&mut browser, "End", false).await;
    for _ in 0..20 {
        press(&mut browser, "ArrowLeft", true).await;
    }
    browser.until("document.querySelector('.chart-told').innerText.endsWith(': 11')").await;
    checked(&mut browser, "search-keys").await;
    press(&mut browser, "Escape", false).await;
    browser.until("document.querySelector('.chart-told').innerText === ''").await;
    press(&mut browser, "End", false).await;
    for _ in 0..20 {
        press(&mut browser, "ArrowLeft", true).await;
    }
    press(&mut browser, "Enter", false).await;
    browser.until("new URLSearchParams(location.search).get('from')").await;
    browser
        .until("document.querySelectorAll('.hit').length === 11 && document.querySelector('.chart')")
        .await;
    let span = "(() => { const at = new URLSearchParams(location.search); return Date.parse(at.get('to')) - Date.parse(at.get('from')); })()";
    let zoomed = browser.eval(span).await.as_f64().expect("a number");
    browser.click("Zoom out").await;
    browser.until(&format!("{span} > {zoomed}")).await;
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn everything_fits_a_small_screen() {
    let cluster = Cluster::builder().workers(2).start().await;
    let http = Http::of(&cluster);
    let id = talk(&http).await;
    submit(&http, script("sleep 600")).await;
    let mut browser = opened(&cluster, "/").await;
    let small = json!({ "width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": true });
    browser.ask("Emulation.setDeviceMetricsOverride", small).await;
    for (path, words, name) in [
        ("/", "Jobs ended in the last hour", "overview"),
        ("/jobs", "server", "jobs"),
        (&format!("/jobs/{id}"), "end of the output", "job"),
        ("/logs?q=msg&span=1h&split=level", "disk full", "logs"),
        ("/workers", "2 registered", "workers"),
        ("/events", "JobEnded", "events"),
    ] {
        browser.open(&format!("{}{path}", cluster.server())).await;
        browser.shows(words).await;
        let beyond = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.eval(beyond).await, 0, "{name} is wider than the screen");
        let width = "Math.min(...[...document.querySelectorAll('.hit .l, .row .l')].map(line => line.getBoundingClientRect().width))";
        assert_ne!(browser.eval(&format!("{width} < 200")).await, true, "{name}: no room for a line");
        checked(&mut browser, &format!("small-{name}")).await;
    }
}

#[tokio::test]
async fn the_address_that_dev_prints_opens_the_page() {
    let folder = tempfile::tempdir().expect("a folder of its own");
    let listen = format!("127.0.0.1:{}", ports::free());
    let data = folder.path().join("data").display().to_string();
    let words = ["dev", "--runtime", "fake", "--data", &data, "--listen", &listen];
    let dev = Dev::start(folder.path(), &words).await;
    let mut browser = Browser::start().await;
    browser.open(&dev.page().await).await;
    browser.shows("workers ready").await;
    assert_eq!(browser.eval("location.hash").await, "", "the token does not stay in the address");
    assert_eq!(browser.complaints(), Vec::<String>::new());
    dev.end().await;
}

#[tokio::test]
async fn over_tls_the_page_is_the_same_once_its_certificate_is_trusted() {
    let folder = tempfile::tempdir().expect("a folder of its own");
    let file = |name: &str| folder.path().join(name);
    let (cert, key, token) = (file("cert.pem"), file("key.pem"), file("token"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .await
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let secret = "5".repeat(64);
    std::fs::write(&token, &secret).expect("the folder is ours");
    std::fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .expect("it is ours");
    let port = ports::free();
    let mut command = Command::new(programs::binary("dockmgr-coordinator"));
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(file("data"));
    command.arg("--tls-cert").arg(&cert).arg("--tls-key").arg(&key).arg("--token-file").arg(&token);
    let log = file("log");
    let _coordinator = Process::start("coordinator", &mut command, &log);
    wait_until("the coordinator to listen", STEP_LIMIT, async || {
        let tried = tokio::net::TcpStream::connect(("127.0.0.1", port)).await;
        tried.map(drop).map_err(|error| format!("{error}: {:?}", std::fs::read_to_string(&log)))
    })
    .await;
    let page = format!("https://localhost:{port}/");
    let mut browser = Browser::start().await;
    browser.open(&page).await;
    browser.shows("ERR_CERT_AUTHORITY_INVALID").await;
    browser.picture("tls-unknown").await;
    browser.complaints();
    // What a person does who adds the authority to the browser.
    browser.ask("Security.setIgnoreCertificateErrors", json!({ "ignore": true })).await;
    browser.open(&format!("{page}jobs#token={secret}")).await;
    browser.shows("No jobs yet").await;
    browser.until("document.querySelector('#link').innerText === 'Live'").await;
    checked(&mut browser, "tls").await;
}
