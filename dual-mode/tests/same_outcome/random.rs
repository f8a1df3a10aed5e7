//! The same for requests that nobody thought of.

use dual_mode::greetings::Request;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    cases::Asked,
    common::{Served, wire::Wire},
    ways::Way,
};

fn requests() -> impl Strategy<Value = Request> {
    let text = prop_oneof!["\\PC{0,40}", "\\PC{250,260}", any::<String>()];
    let year = prop_oneof![any::<i32>(), -3..3, 9_990..10_010];
    ("\\PC{0,40}", text, year).prop_map(|(data_comm_type, message_type, year)| Request {
        data_comm_type,
        message_type,
        year,
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![
        4 => requests().prop_map(Asked::One),
        1 => vec(requests(), 0..40).prop_map(Asked::Batch),
    ]
}

#[test]
fn whatever_is_asked_has_the_same_outcome_every_way() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be started");
    let served = runtime.block_on(Served::start());
    let wire = tokio::sync::Mutex::new(runtime.block_on(Wire::to(&served)));
    let mut runner = TestRunner::new(Config {
        cases: 128,
        // What it finds is written into the table of cases instead.
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&asked(), |asked| {
        runtime.block_on(async {
            let mut wire = wire.lock().await;
            let core = Way::Core.ask(&mut wire, &asked).await;
            for way in Way::AROUND_THE_CORE
                .into_iter()
                .filter(|way| way.can_say(&asked))
            {
                let outcome = way.ask(&mut wire, &asked).await;
                prop_assert_eq!(&outcome, &core, "{}", way.name());
            }
            Ok(())
        })
    });
    runtime.block_on(served.stop());
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
