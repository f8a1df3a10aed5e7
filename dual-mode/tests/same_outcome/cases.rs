//! The requests, and what has to come of them.

use dual_mode::greetings::Request;

/// The request of a case: one greeting, or a batch.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    One(Request),
    Batch(Vec<Request>),
}

/// The outcome that a case must have.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// The first greeting ends with this.
    Greeted(&'static str),
    /// These fields are named.
    Refused(&'static [&'static str]),
}

/// One request.
pub(crate) struct Case {
    /// As it stands in the README.
    pub(crate) name: &'static str,
    pub(crate) asked: Asked,
    pub(crate) expected: Expected,
}

fn request(comm: &str, kind: &str, year: i32) -> Request {
    Request {
        data_comm_type: comm.to_owned(),
        message_type: kind.to_owned(),
        year,
    }
}

/// All of them.
pub(crate) fn cases() -> Vec<Case> {
    let longest = "ह".repeat(256);
    let one = |name, (comm, kind, year): (&str, &str, i32), expected| Case {
        name,
        asked: Asked::One(request(comm, kind, year)),
        expected,
    };
    let batch = |name, requests, expected| Case {
        name,
        asked: Asked::Batch(requests),
        expected,
    };
    let greeted = Expected::Greeted;
    let refused = Expected::Refused;
    let holi = || request("", "Holi", 2021);
    vec![
        one(
            "the original's",
            ("gRPC", "Holi", 2021),
            greeted("(Holi, 2021)"),
        ),
        one(
            "without dataCommType",
            ("", "Diwali", 2023),
            greeted("(Diwali, 2023)"),
        ),
        one("the first year", ("", "Holi", 1), greeted("(Holi, 1)")),
        one("the last year", ("", "Holi", 9999), greeted("(Holi, 9999)")),
        one(
            "another script, an emoji",
            ("", "दीवाली 🪔", 2023),
            greeted("(दीवाली 🪔, 2023)"),
        ),
        one(
            "what forms and JSON escape",
            ("a&b=c", " a \"b\" & c=d% {e} \\ +", 5),
            greeted("( a \"b\" & c=d% {e} \\ +, 5)"),
        ),
        one(
            "messageType of 256 characters",
            ("", &longest, 5),
            greeted("ह, 5)"),
        ),
        one(
            "dataCommType of 32",
            (&"ह".repeat(32), "Holi", 5),
            greeted("(Holi, 5)"),
        ),
        one("nothing", ("", "", 0), refused(&["messageType", "year"])),
        one(
            "blank messageType",
            ("", " \u{a0}\u{3000}", 2023),
            refused(&["messageType"]),
        ),
        one(
            "a line break",
            ("", "a\nb", 2023),
            refused(&["messageType"]),
        ),
        one("a NUL", ("", "a\0", 2023), refused(&["messageType"])),
        one(
            "messageType of 257",
            ("", &"x".repeat(257), 2023),
            refused(&["messageType"]),
        ),
        one(
            "dataCommType of 33",
            (&"x".repeat(33), "Holi", 2023),
            refused(&["dataCommType"]),
        ),
        one("year 0, the default", ("", "Holi", 0), refused(&["year"])),
        one("year -1", ("", "Holi", -1), refused(&["year"])),
        one("year 10000", ("", "Holi", 10_000), refused(&["year"])),
        one(
            "the least int32",
            ("", "Holi", i32::MIN),
            refused(&["year"]),
        ),
        one(
            "the greatest int32",
            ("", "Holi", i32::MAX),
            refused(&["year"]),
        ),
        one(
            "everything wrong",
            (&"x".repeat(33), "\t", 0),
            refused(&["messageType", "year", "dataCommType"]),
        ),
        batch("a batch of 1", vec![holi()], greeted("(Holi, 2021)")),
        batch(
            "a batch of 1000",
            (1..=1000).map(|year| request("", "Holi", year)).collect(),
            greeted("(Holi, 1)"),
        ),
        batch("an empty batch", Vec::new(), refused(&["requests"])),
        batch(
            "a batch of 1001",
            vec![holi(); 1001],
            refused(&["requests"]),
        ),
        batch(
            "a batch with two wrong",
            vec![
                holi(),
                request("", "", 2021),
                holi(),
                request("", "Holi", 0),
            ],
            refused(&["requests[1].messageType", "requests[3].year"]),
        ),
    ]
}
