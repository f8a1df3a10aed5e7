//! Inputs that are wrong: each ends in one line that says what and how to mend it, and writes nothing.

#[path = "support/shop.rs"]
mod shop;
mod support;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use shop::Shop;
use support::{Room, names, stderr};

const TOKEN: &str = "s3cret-t0ken-of-the-shop";

const METHOD: &str = "shop.v1.Orders/CreateOrder";

const ROW: &str = r#"{"customer":"Ada","items":[{"sku":"a","quantity":1,"cents":5}],"delivery":"DELIVERY_PICKUP","wantedBy":"2026-03-03T12:00:00Z"}"#;

/// The shop's own contract, and where its imports are.
const CONTRACT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/shop/proto/shop/v1/orders.proto"
);
const IMPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop/proto");

/// A contract whose methods stream.
const STREAMS: &str = r#"
syntax = "proto3";
package feed.v1;
message Nothing {}
service Feed {
  rpc Watch(Nothing) returns (stream Nothing);
  rpc Look(Nothing) returns (Nothing);
}"#;

/// A server that gives the same bytes to everybody who has sent something.
fn always(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it listens");
    let serve = move |mut stream: TcpStream| {
        let mut request = [0; 4096];
        // A head and a body may come apart, and a peer may be gone.
        let _ = stream.read(&mut request);
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        while stream.read(&mut request).is_ok_and(|read| read > 0) {}
    };
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it listens")
}

const HTML: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 27\r\n\r\n<html><p>Sign in</p></html>";
const TEXT: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok";
const MOVED: &str = "HTTP/1.1 301 Moved Permanently\r\nlocation: https://shop.example/v1/orders\r\ncontent-length: 0\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 10\r\n\r\n\u{1b}[31mlater";
const LIMITED: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n";
const MEDIA: &str = "HTTP/1.1 415 Unsupported Media Type\r\ncontent-length: 0\r\n\r\n";
const OTHER: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 19\r\n\r\n{\"customer\":\"Bob\"}\n";
const GO_TLS: &str =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
/// First frame of an HTTP/2 peer: an empty SETTINGS frame.
const SETTINGS: &str = "\u{0}\u{0}\u{0}\u{4}\u{0}\u{0}\u{0}\u{0}\u{0}";
/// An alert: handshake failure.
const TLS: &str = "\u{15}\u{3}\u{1}\u{0}\u{2}\u{2}\u{28}";

/// A wrong input: what is given, the exit code, and what the line has to say.
struct Case<'a> {
    args: Vec<String>,
    code: i32,
    says: &'a [&'a str],
}

fn case<'a>(args: &[&str], code: i32, says: &'a [&'a str]) -> Case<'a> {
    Case {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        code,
        says,
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_wrong_input_is_one_line_that_says_how_to_mend_it() {
    let (shop, room) = (Shop::start(TOKEN), Room::new());
    let write = |name: &str, bytes: &[u8]| fs::write(room.path().join(name), bytes).unwrap();
    write("good.jsonl", ROW.as_bytes());
    write("empty.jsonl", b"");
    write("empty.csv", b"customer,note\n");
    write("array.jsonl", format!("[{ROW}]").as_bytes());
    write("utf16.jsonl", b"\xff\xfe{\0}\0");
    write("latin1.jsonl", b"{\"customer\":\"\xe9\"}");
    write("broken.jsonl", format!("{ROW}\n{{\"customer\":").as_bytes());
    write("number.jsonl", format!("{ROW}\n7").as_bytes());
    let misspelled = ROW.replace("quantity", "qantity");
    write(
        "misspelled.jsonl",
        format!("{ROW}\n\n{misspelled}").as_bytes(),
    );
    let mistyped = ROW.replace("\"quantity\":1", "\"quantity\":\"many\"");
    write("mistyped.jsonl", format!("{ROW}\n{mistyped}").as_bytes());
    let no_such_enum = ROW.replace("PICKUP", "PIGEON");
    write("enum.jsonl", no_such_enum.as_bytes());
    write("cells.csv", b"customer,note\nAda\n");
    write("refused.jsonl", br#"{"customer":"Ada","items":[]}"#);
    let row = ROW.replace("Ada", &"x".repeat(1024 * 1024));
    write("large.jsonl", [row.as_str(); 70].join("\n").as_bytes());
    write("feed.proto", STREAMS.as_bytes());
    write("broken.proto", b"syntax = \"proto3\"; message {");
    write(
        "imports.proto",
        b"syntax = \"proto3\"; import \"nowhere.proto\";",
    );
    write("no.binpb", b"no descriptor set");

    let grpc = format!("{} {METHOD}", shop.grpc);
    let rest = format!("POST http://{}/v1/orders", shop.rest);
    let token = format!("authorization: Bearer {TOKEN}");
    let at = |address: SocketAddr| format!("POST http://{address}/v1/orders");
    let grpc_at = |address: SocketAddr| format!("{address} {METHOD}");
    let web = |address: SocketAddr| format!("web+http://{address} {METHOD}");
    // With what the shop takes besides.
    let with = |args: &[&str], code, says| {
        let mut case = case(args, code, says);
        if !args.contains(&"--data") && !args.contains(&"--body") {
            case.args
                .extend(["--data", "good.jsonl"].map(str::to_owned));
        }
        if !args.iter().any(|arg| arg.contains("header")) {
            case.args.extend(["--header".to_owned(), token.clone()]);
        }
        case
    };
    let data = |file, says| with(&["--grpc", &grpc, "--rest", &rest, "--data", file], 2, says);
    let rest_is = |answer: &'static str, says| {
        with(&["--grpc", &grpc, "--rest", &at(always(answer))], 5, says)
    };
    let web_is = |address, says| {
        let contract = ["--proto", CONTRACT, "-I", IMPORTS];
        let calls = ["--grpc", &web(address), "--rest", &rest];
        with(&[calls, contract].concat(), 5, says)
    };
    let method_is = |method: &str, says| {
        let grpc = format!("{} {method}", shop.grpc);
        with(&["--grpc", &grpc, "--rest", &rest], 2, says)
    };
    let cases = [
        // Options.
        with(
            &["--grpc", &grpc],
            2,
            &["nothing to be compared with", "--rest"],
        ),
        with(
            &["--rest", &rest],
            2,
            &["nothing to be compared with", "--grpc"],
        ),
        case(
            &["--data", "good.jsonl"],
            2,
            &["--data", "--grpc and --rest"],
        ),
        with(
            &["--grpc", "localhost:1", "--rest", &rest],
            2,
            &["names no method", "loadtest list"],
        ),
        with(
            &["--grpc", &grpc, "--rest", "localhost:1"],
            2,
            &["no scheme", "POST http://"],
        ),
        with(
            &["--grpc", &grpc, "--rest", "FETCH http://localhost:1"],
            2,
            &["no method of HTTP"],
        ),
        with(
            &["--grpc", &grpc, "--rest", "POST http://localhost:1/{id"],
            2,
            &["without a }"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--header", "no colon"],
            2,
            &["--header", "colon"],
        ),
        with(
            &[
                "--grpc",
                &grpc,
                "--rest",
                &rest,
                "--header",
                "x-key: ${env:LOADTEST_IS_NOT_SET}",
            ],
            2,
            &["x-key", "LOADTEST_IS_NOT_SET", "export"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--header", "host: x"],
            2,
            &["\"host\"", "leave it out"],
        ),
        with(
            &[
                "--grpc",
                &grpc,
                "--rest",
                &rest,
                "--accept",
                "ALREADY_EXIST",
            ],
            2,
            &["ALREADY_EXISTS"],
        ),
        with(
            &["--rest", &rest, "--rest", &at(shop.rest), "--body", "[1]"],
            2,
            &["--body", "JSON object"],
        ),
        with(
            &[
                "--rest",
                &format!("a={rest}"),
                "--rest",
                &format!("a={rest}"),
            ],
            2,
            &["one name"],
        ),
        with(
            &["--rest", &format!("http://{}", shop.rest), "--rest", &rest],
            2,
            &["no method of HTTP", "'POST "],
        ),
        // Data.
        data("missing.jsonl", &["missing.jsonl", "cannot be read"]),
        data("empty.jsonl", &["empty.jsonl is empty", "JSON objects"]),
        data("empty.csv", &["empty.csv is empty", "rows"]),
        data("array.jsonl", &["array", "jq -c"]),
        data("utf16.jsonl", &["UTF-16", "save it as UTF-8"]),
        data("latin1.jsonl", &["not UTF-8"]),
        data("broken.jsonl", &["line 2 is not JSON", "column"]),
        data("number.jsonl", &["line 2 is not a JSON object"]),
        data(
            "misspelled.jsonl",
            &["line 3", "items[0]", "qantity", "did you mean quantity?"],
        ),
        data("mistyped.jsonl", &["line 2", "items[0].quantity"]),
        data("enum.jsonl", &["line 1", "delivery"]),
        data("cells.csv", &["line 2 has 1 cells"]),
        data("large.jsonl", &["64 MiB", "--sample"]),
        with(
            &["--grpc", &grpc, "--rest", &format!("{rest}/{{order}}")],
            2,
            &["line 1 has no field \"order\""],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest.replace("POST", "GET")],
            2,
            &["GET has no body", "customer", "query"],
        ),
        // The contract.
        method_is(
            "shop.v1.Orders/CreateOrdr",
            &["did you mean shop.v1.Orders/CreateOrder?"],
        ),
        method_is(
            "shop.v1.Order/CreateOrder",
            &["did you mean shop.v1.Orders/CreateOrder?"],
        ),
        method_is("Ship", &["serves no Ship", "shop.v1.Orders"]),
        with(
            &[
                "--grpc",
                &format!("{} feed.v1.Feed/Watch", shop.grpc),
                "--rest",
                &rest,
                "--proto",
                "feed.proto",
            ],
            2,
            &["streams replies", "feed.v1.Feed/Look"],
        ),
        with(
            &[
                "--grpc",
                &format!("{} feed.v1.Feed/Look", shop.grpc),
                "--grpc",
                &format!("b={} feed.v1.Feed/Look", shop.grpc),
                "--proto",
                "feed.proto",
                "--body",
                "{}",
            ],
            5,
            &["UNIMPLEMENTED", "another version"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--proto", "broken.proto"],
            2,
            &["--proto broken.proto"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--proto", "imports.proto"],
            2,
            &["nowhere.proto", "-I DIR"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--proto", "missing.proto"],
            2,
            &["missing.proto is not there"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--protoset", "no.binpb"],
            2,
            &["--protoset no.binpb", "--include_imports"],
        ),
        with(
            &["--grpc", &grpc_at(shop.rest), "--rest", &rest],
            5,
            &["no server reflection", "port of REST", "--proto"],
        ),
        // The service.
        with(
            &[
                "--grpc",
                &grpc,
                "--rest",
                &rest.replace("http://", "https://"),
            ],
            5,
            &["no TLS", "write http://"],
        ),
        with(
            &["--grpc", &format!("https://{grpc}"), "--rest", &rest],
            5,
            &["no TLS", "write http://"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--cacert", "good.jsonl"],
            2,
            &["--cacert good.jsonl", "PEM"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &at(nobody())],
            5,
            &["refused the connection", "--rest"],
        ),
        with(
            &["--grpc", &grpc_at(nobody()), "--rest", &rest],
            5,
            &["refused the connection", "--grpc"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &at(shop.grpc)],
            5,
            &["port of gRPC"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &at(always(SETTINGS))],
            5,
            &["port of gRPC"],
        ),
        web_is(shop.rest, &["without gRPC-Web", "switched on"]),
        web_is(always(SETTINGS), &["HTTP/2 alone"]),
        with(
            &["--grpc", &web(always(TEXT)), "--rest", &rest],
            5,
            &["--proto FILE"],
        ),
        with(
            &["--grpc", &grpc_at(always(TEXT)), "--rest", &rest],
            5,
            &["HTTP/1.1", "port of REST"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--header", "x-key: 1"],
            5,
            &["401", "token", "--rest-header"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--rest-header", &token],
            5,
            &["UNAUTHENTICATED", "token", "--grpc-header"],
        ),
        with(
            &[
                "--grpc",
                &grpc,
                "--rest",
                &rest,
                "--header",
                "authorization: Bearer wrong-t0ken",
            ],
            5,
            &["401", "token right?"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &format!("{rest}s")],
            5,
            &["404", "path right?"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest.replace("POST", "PUT")],
            5,
            &["405", "it takes POST"],
        ),
        with(
            &["--grpc", &grpc, "--rest", &rest, "--data", "refused.jsonl"],
            5,
            &["row right?"],
        ),
        rest_is(TLS, &["speaks TLS", "write https://"]),
        rest_is(GO_TLS, &["400", "HTTPS"]),
        with(
            &["--grpc", &grpc_at(always(TLS)), "--rest", &rest],
            5,
            &["speaks TLS", "write https://"],
        ),
        rest_is(
            MOVED,
            &["301", "https://shop.example/v1/orders", "not followed"],
        ),
        rest_is(HTML, &["page of HTML", "sign-in"]),
        rest_is(TEXT, &["text/plain", "not JSON"]),
        rest_is(BUSY, &["503", "\\u{1b}[31mlater", "--accept"]),
        rest_is(LIMITED, &["429", "limits"]),
        rest_is(MEDIA, &["415", "content-type"]),
        rest_is(
            OTHER,
            &[
                "answer differently",
                "customer",
                "--ignore",
                "--answers-differ",
            ],
        ),
    ];
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for Case { args, code, says } in &cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = room.bare_tool(&args).output().expect("the tool was built");
        let text = stderr(&output);
        let errors: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        let is_good = output.status.code() == Some(*code)
            && errors.len() == 1
            && says.iter().all(|part| text.contains(part))
            && output.stdout.is_empty()
            && !text.contains(TOKEN)
            && !room.path().join("reports").exists();
        if !is_good {
            wrong.push(format!(
                "{args:?}\n  exit {:?}, {says:?}\n  {text}",
                output.status.code()
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
    assert!(names(&room.path().join("reports")).is_empty());
}
