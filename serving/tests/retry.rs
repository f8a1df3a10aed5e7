//! Which failures are tried again, how often, and with which pauses.

use std::{
    cell::{Cell, RefCell},
    future::{pending, ready},
    time::Duration,
};

use serving::{client::CallError, retry::Retry};
use tokio::time::Instant;
use tonic::Code;

fn status(code: Code) -> CallError {
    CallError::Status {
        code,
        message: String::new(),
        retry_after: None,
    }
}

const RETRY: Retry = Retry {
    retries: 5,
    first_pause: Duration::from_millis(100),
    longest_pause: Duration::from_millis(500),
};

const LONG: Duration = Duration::MAX;

#[tokio::test(start_paused = true)]
async fn what_is_unavailable_is_tried_again_with_pauses_that_double_up_to_the_longest() {
    let times = RefCell::new(Vec::new());
    let result = RETRY.run(LONG, || {
        times.borrow_mut().push(Instant::now());
        ready(Err::<(), _>(status(Code::Unavailable)))
    });
    assert!(result.await.unwrap_err().is_unavailable());
    let times = times.into_inner();
    let pauses: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(pauses.len(), 5);
    for (pause, mean) in pauses.iter().zip([100, 200, 400, 500, 500]) {
        let mean = Duration::from_millis(mean);
        // Tokio's clock counts in milliseconds.
        let range = mean.mul_f64(0.8)..=mean.mul_f64(1.2) + Duration::from_millis(1);
        assert!(range.contains(pause), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_ends_it() {
    let attempts = RefCell::new(0);
    let answer = RETRY.run(LONG, || {
        *attempts.borrow_mut() += 1;
        ready(match *attempts.borrow() {
            3 => Ok("answer"),
            _ => Err(CallError::Refused {
                address: String::new(),
            }),
        })
    });
    assert_eq!(answer.await.unwrap(), "answer");
    assert_eq!(*attempts.borrow(), 3);
}

#[tokio::test(start_paused = true)]
async fn no_other_failure_is_tried_again() {
    for code in (1..=16).map(Code::from_i32) {
        let attempts = RefCell::new(0);
        let result = RETRY.run(LONG, || {
            *attempts.borrow_mut() += 1;
            ready(Err::<(), _>(status(code)))
        });
        result.await.unwrap_err();
        let expected = if code == Code::Unavailable { 6 } else { 1 };
        assert_eq!(attempts.into_inner(), expected, "{code:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_that_of_all_attempts_together() {
    let start = Instant::now();
    let retry = Retry {
        retries: u32::MAX,
        ..RETRY
    };
    let deadline = Duration::from_secs(2);
    let unavailable = || ready(Err::<(), _>(status(Code::Unavailable)));
    let error = retry.run(deadline, unavailable).await.unwrap_err();
    assert!(error.is_unavailable(), "the last error: {error}");
    // It does not wait for a time at which it would not try again.
    assert!((deadline / 2..deadline).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_never_ends_is_given_up_when_the_deadline_passes() {
    for failures in [0, 2] {
        let start = Instant::now();
        let deadline = Duration::from_millis(1500);
        let attempts = Cell::new(0);
        let error = RETRY.run(deadline, async || {
            attempts.set(attempts.get() + 1);
            if attempts.get() > failures {
                pending::<()>().await;
            }
            Err::<(), _>(status(Code::Unavailable))
        });
        assert_eq!(
            error.await.unwrap_err().to_string(),
            "DEADLINE_EXCEEDED: no answer within 1s 500ms; --deadline sets how long to wait",
            "after {failures} that failed"
        );
        assert!((deadline..deadline * 2).contains(&start.elapsed()));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_asks_for_is_waited_for_whatever_the_code() {
    for (code, asked, tries) in [
        (Code::ResourceExhausted, Duration::from_secs(3), 6),
        (Code::Unavailable, Duration::from_secs(3), 6),
        // Longer than the caller has.
        (Code::Unavailable, Duration::from_secs(600), 1),
        (Code::Unavailable, Duration::MAX, 1),
    ] {
        let times = RefCell::new(Vec::new());
        let result = RETRY.run(Duration::from_secs(60), || {
            times.borrow_mut().push(Instant::now());
            ready(Err::<(), _>(CallError::Status {
                code,
                message: String::new(),
                retry_after: Some(asked),
            }))
        });
        result.await.unwrap_err();
        let times = times.into_inner();
        assert_eq!(times.len(), tries, "{code:?} {asked:?}");
        let pauses: Vec<_> = times.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(pauses.iter().all(|pause| *pause >= asked), "{pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cuts_the_call_off_at_its_deadline_is_no_other_failure() {
    let deadline = Duration::from_secs(1);
    let broken = || CallError::Broken {
        reason: String::new(),
    };
    for error in [broken, || status(Code::Cancelled)] {
        let cut = async |after: Duration| {
            let attempt = Retry::times(0).run(deadline, async || {
                tokio::time::sleep(after).await;
                Err::<(), _>(error())
            });
            attempt.await.unwrap_err()
        };
        let before = cut(deadline / 2).await;
        assert!(!matches!(before, CallError::Deadline { .. }), "{before}");
        let at_its_end = cut(deadline).await;
        assert!(
            matches!(at_its_end, CallError::Deadline { .. }),
            "{at_its_end}"
        );
    }
    // What it says itself is its word, however late.
    let late = Retry::times(0).run(deadline, async || {
        tokio::time::sleep(deadline).await;
        Err::<(), _>(status(Code::NotFound))
    });
    assert!(matches!(
        late.await,
        Err(CallError::Status {
            code: Code::NotFound,
            ..
        })
    ));
}
