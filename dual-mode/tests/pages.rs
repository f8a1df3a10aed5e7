//! The pages as a browser gets them: whole, from this server alone, and allowed to call no other.

#[allow(dead_code, reason = "the other files use the rest of it")]
mod common;
#[path = "../../serving/tests/support/program.rs"]
#[allow(dead_code, reason = "the other tests use the rest of it")]
mod program;
#[path = "common/started.rs"]
mod started;
use common::{Answer, Served, http};
use rustix::process::Signal;
use started::start;

async fn get(served: &Served, path: &str) -> Answer {
    let answer = http(served.rest, &format!("GET {path}"), "", "").await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

/// Returns the text between each `before` and the `"` after it.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let parts = text.split(before).skip(1);
    parts.filter_map(|part| part.split('"').next()).collect()
}

#[tokio::test]
async fn what_a_page_asks_for_is_served_beside_it_and_nowhere_else() {
    let served = Served::start().await;
    for page in ["/", "/docs"] {
        let html = get(&served, page).await;
        assert_eq!(
            html.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let mut wanted = quoted(&html.body, "src=\"");
        wanted.extend(quoted(&html.body, "href=\""));
        wanted.retain(|path| !path.starts_with("data:"));
        let mut kinds = Vec::new();
        for path in wanted {
            assert!(
                path.starts_with('/') && !path.starts_with("//"),
                "{page} asks for {path}"
            );
            let file = get(&served, path).await;
            kinds.push(file.header("content-type").expect("a type").to_owned());
            for import in quoted(&file.body.replace('\'', "\""), "from \"./") {
                let script = get(&served, &format!("/pages/{import}")).await;
                let kind = script.header("content-type");
                assert_eq!(kind, Some("text/javascript; charset=utf-8"), "{import}");
            }
        }
        for kind in ["text/javascript", "text/css"] {
            let there = kinds.iter().any(|found| found.starts_with(kind));
            assert!(there, "{page} has no {kind}, but {kinds:?}");
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn a_page_may_run_no_script_of_others_and_call_nothing_but_the_two_listeners() {
    let served = Served::start().await;
    for path in ["/", "/docs", "/openapi.json", "/pages/wire.js"] {
        let answer = get(&served, path).await;
        let policy = answer.header("content-security-policy").expect("a policy");
        let policy: Vec<_> = policy.split("; ").collect();
        let calls = format!("connect-src 'self' *:{}", served.grpc.port());
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            &calls,
        ] {
            assert!(policy.contains(&directive), "{path}: {policy:?}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    served.stop().await;
}

#[tokio::test]
async fn the_first_page_knows_where_grpc_listens() {
    let served = Served::start().await;
    let page = get(&served, "/").await;
    let named = quoted(&page.body, "data-grpc-port=\"");
    assert_eq!(named, [served.grpc.port().to_string()]);
    served.stop().await;
}

#[tokio::test]
async fn behind_a_port_mapping_the_first_page_is_told_where_grpc_is() {
    let url = "https://shop.example:9090";
    let (server, rest, _) = start(&["--grpc-url", url]).await;
    let page = http(rest, "GET /", "", "").await;
    assert_eq!(quoted(&page.body, "data-grpc-url=\""), [url]);
    assert_eq!(quoted(&page.body, "data-grpc-port=\""), [""]);
    let policy = page.header("content-security-policy").expect("a policy");
    let may_call = format!("connect-src 'self' {url};");
    assert!(policy.contains(&may_call), "{policy}");
    server.end_by(Signal::TERM).await;
}

#[tokio::test]
async fn pages_are_read_and_not_written() {
    let served = Served::start().await;
    for path in ["/", "/docs", "/openapi.json"] {
        let whole = get(&served, path).await;
        let head = http(served.rest, &format!("HEAD {path}"), "", "").await;
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        let length = whole.body.len().to_string();
        assert_eq!(head.header("content-length"), Some(length.as_str()));
        let post = http(served.rest, &format!("POST {path}"), "", "{}").await;
        assert_eq!(post.status, 405, "{path}");
        assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS"), "{path}");
    }
    served.stop().await;
}
