//! Output in a real browser: live, long, hostile, searched.

use dockmgr_tests::Cluster;
use dockmgr_tests::http::Http;
use serde_json::json;

use crate::page::{checked, opened, script, submit};

/// Time a step of scrolling may take on a loaded machine; on an idle one it is under ten.
const STEP_MILLIS: f64 = 100.0;

#[tokio::test]
async fn a_hundred_thousand_lines_scroll_and_the_end_is_live() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let thousands: Vec<String> =
        (0..100).map(|n| format!("seq {} {}", n * 1000 + 1, (n + 1) * 1000)).collect();
    let text = format!("{}; sleep 2; echo the very end; sleep 600", thousands.join("; "));
    let id = submit(&http, script(&text)).await;
    let mut browser = opened(&cluster, &format!("/jobs/{id}")).await;
    browser.shows("the very end").await;
    browser.until("document.querySelector('.log-head .soft').innerText.startsWith('100,00')").await;
    checked(&mut browser, "long-log").await;
    let steps = "(async () => {
        const body = document.querySelector('.log-body');
        body.scrollTop = 0;
        const begin = performance.now();
        for (let step = 1; step <= 100; step += 1) {
            body.scrollTop = (body.scrollHeight / 100) * (step - 0.5);
            await new Promise(requestAnimationFrame);
        }
        return (performance.now() - begin) / 100;
    })()";
    let millis = browser.eval(steps).await.as_f64().expect("a number");
    assert!(millis < STEP_MILLIS, "{millis} ms for a step of a thousand lines");
    let rows = browser.eval("document.querySelectorAll('.row').length").await.as_u64().expect("a number");
    assert!(rows < 150, "{rows} rows for one screen");
    browser.eval("document.querySelector('.log-body').scrollTop = 0").await;
    browser.until("[...document.querySelectorAll('.row .l')].some(row => row.innerText === '1')").await;
    browser.eval("{ const find = document.querySelector('.log-head input'); find.value = '77777'; find.dispatchEvent(new Event('input')); }").await;
    browser.shows("1 line").await;
    browser.until("document.querySelector('.row[data-hit] .l')?.innerText === '77777'").await;
    browser.picture("long-log-found").await;
}

#[tokio::test]
async fn hostile_output_and_names_are_shown_and_do_nothing() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    let lines = [
        "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">",
        "\u{1b}[31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;owned\u{7} \u{1b}]52;c;b3duZWQ=\u{7} \u{9b}31m",
        "abc\rdef \u{8}\u{8} bell \u{7}",
        "user\u{202e}gpj.exe \u{2066}x\u{2069} a\u{2028}b\u{200b}c",
    ];
    let text: Vec<String> = lines.iter().map(|line| format!("echo '{}'", line.replace('\'', ""))).collect();
    let text = format!("{}; fake:bytes 3000 7; echo; fake:fill 3000000 x; echo; echo done", text.join("; "));
    let id =
        submit(&http, json!({ "labels": { "a": "b" }, "command": { "script": { "text": text } } })).await;
    http.get(&format!("/jobs/{id}/wait")).await;
    let mut browser = opened(&cluster, &format!("/jobs/{id}")).await;
    browser.shows("end of the output").await;
    browser.eval("document.querySelector('.log-body').scrollTop = 0").await;
    browser
        .until("[...document.querySelectorAll('.row .l')].some(row => row.innerText.includes('<script>'))")
        .await;
    let shown =
        browser.eval("[...document.querySelectorAll('.row .l')].map(row => row.innerText).join('\\n')").await;
    let shown = shown.as_str().expect("text");
    for words in [
        "onerror",
        "red \\x1b[2J\\x1b]0;owned\\x07",
        "\\x9b31m",
        "abc\\x0ddef \\x08",
        "user\\u{202e}gpj.exe",
        "a\\u{2028}b\\u{200b}c",
    ] {
        assert!(shown.contains(words), "'{words}' is missing:\n{shown}");
    }
    assert_eq!(
        browser.eval("document.querySelector('.row .f1')?.innerText").await,
        "red",
        "colours may pass"
    );
    assert_eq!(browser.eval("document.querySelectorAll('main script, main img').length").await, 0);
    assert_ne!(browser.eval("document.title").await, "owned");
    checked(&mut browser, "hostile").await;
    browser.open(&format!("{}/logs?q=owned&span=1h", cluster.server())).await;
    browser.until("document.querySelectorAll('.hit').length > 0").await;
    checked(&mut browser, "hostile-search").await;
    assert_ne!(browser.eval("document.title").await, "owned");
}

#[tokio::test]
async fn lines_are_searched_counted_over_time_and_zoomed_into() {
    let cluster = Cluster::fake().await;
    let http = Http::of(&cluster);
    for n in 0..6 {
        let text = format!(
            "for i in 1 2 3 4 5 6 7 8; do echo level=info msg=\"request $i served\" ms={n}; sleep 0.2; done; echo level=warn msg=slow >&2; echo level=error msg=\"disk full\" >&2; exit {}",
            n % 2
        );
        let id = submit(
            &http,
            json!({ "name": format!("server-{n}"), "command": { "script": { "text": text } } }),
        )
        .await;
        http.get(&format!("/jobs/{id}/wait")).await;
    }
    let mut browser = opened(&cluster, "/logs?q=level%3Aerror&span=15m").await;
    browser.until("document.querySelectorAll('.hit').length === 6").await;
    browser.shows("6 lines").await;
    browser.open(&format!("{}/logs?span=15m&split=level", cluster.server())).await;
    browser
        .until("document.querySelectorAll('.hit').length === 60 && document.querySelector('.chart')")
        .await;
    checked(&mut browser, "search").await;
    let area = browser.eval("(() => { const area = document.querySelector('.chart').getBoundingClientRect(); return [area.left, area.top, area.width, area.height]; })()").await;
    let area: Vec<f64> =
        area.as_array().expect("a list").iter().filter_map(serde_json::Value::as_f64).collect();
    let middle = area[1] + area[3] / 2.0;
    browser.drag((area[0] + area[2] * 0.9, middle), (area[0] + area[2] - 2.0, middle)).await;
    browser.until("new URLSearchParams(location.search).get('from')").await;
    browser.until("document.querySelectorAll('.hit').length > 0 && document.querySelector('.chart')").await;
    checked(&mut browser, "search-zoomed").await;
    browser.click("Live").await;
    submit(&http, script("echo level=error msg=fresh")).await;
    browser.until("document.querySelector('.hit')?.innerText.includes('fresh')").await;
    browser.open(&format!("{}/logs?q=nothing-has-this&span=1h", cluster.server())).await;
    browser.shows("No line fits").await;
    checked(&mut browser, "search-none").await;
    browser.open(&format!("{}/logs?q=(&span=1h", cluster.server())).await;
    browser.until("document.querySelector('.told .state')").await;
    browser.picture("search-wrong").await;
}
