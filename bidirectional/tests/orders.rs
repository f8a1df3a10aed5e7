//! When the server reads and when it writes, proved without a clock: the messages come from a
//! channel that the test holds, and polling once shows whether there is an answer yet.

use bidirectional::order::{Answers, MOST_HELD, MOST_HELD_BYTES, Order};
use futures_util::{FutureExt, StreamExt};
use proto::bidirectional::Message;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};

const ORDERS: [Order; 3] = [Order::Each, Order::Pairs, Order::AfterHalfClose];

/// The client's side of a call that is open until this is dropped, and the answers to it.
fn call(order: Order) -> (UnboundedSender<Result<Message, Status>>, Answers) {
    let (client, messages) = unbounded_channel();
    let answers = order.answers(UnboundedReceiverStream::new(messages));
    (client, answers)
}

fn say(client: &UnboundedSender<Result<Message, Status>>, message: &str) {
    let message = message.to_owned();
    let sent = client.send(Ok(Message { message }));
    sent.expect("the call should not have ended");
}

/// Every answer that is there now, and whether the stream has ended.
fn now(answers: &mut Answers) -> (Vec<String>, bool) {
    let mut texts = Vec::new();
    loop {
        match answers.next().now_or_never() {
            None => return (texts, false),
            Some(None) => return (texts, true),
            Some(Some(answer)) => texts.push(answer.expect("nothing failed").message),
        }
    }
}

#[test]
fn each_order_answers_when_it_says() {
    let none: &[&str] = &[];
    // How many answers each of five messages brings, and the half-close.
    for (order, expected) in [
        (
            Order::Each,
            [&["1"][..], &["2"], &["3"], &["4"], &["5"], none],
        ),
        (
            Order::Pairs,
            [none, &["1", "2"], none, &["3", "4"], none, &["5"]],
        ),
        (
            Order::AfterHalfClose,
            [none, none, none, none, none, &["1", "2", "3", "4", "5"]],
        ),
    ] {
        let (client, mut answers) = call(order);
        assert_eq!(now(&mut answers), (vec![], false), "{order:?} at first");
        for (message, brought) in ["1", "2", "3", "4", "5"].into_iter().zip(expected) {
            say(&client, message);
            let (texts, ended) = now(&mut answers);
            assert_eq!(texts, brought, "{order:?} after message {message}");
            assert!(!ended, "{order:?} ended before the half-close");
        }
        drop(client);
        let (texts, ended) = now(&mut answers);
        assert_eq!(texts, expected[5], "{order:?} after the half-close");
        assert!(ended, "{order:?} did not end");
    }
}

#[test]
fn a_call_without_a_message_gets_no_answer_and_ends_well() {
    for order in ORDERS {
        let (client, mut answers) = call(order);
        drop(client);
        assert_eq!(now(&mut answers), (vec![], true), "{order:?}");
    }
}

#[test]
fn the_answers_keep_the_order_of_the_messages() {
    let expected: Vec<_> = (0..1001).map(|n| n.to_string()).collect();
    for order in ORDERS {
        let (client, mut answers) = call(order);
        for message in &expected {
            say(&client, message);
        }
        drop(client);
        assert_eq!(now(&mut answers), (expected.clone(), true), "{order:?}");
    }
}

#[test]
fn a_failure_of_the_client_ends_the_answers_with_it() {
    for order in ORDERS {
        let (client, mut answers) = call(order);
        let broken = client.send(Err(Status::data_loss("broken")));
        broken.expect("the call should not have ended");
        let answer = answers.next().now_or_never().flatten();
        let status = answer.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::DataLoss, "{order:?}");
    }
}

#[test]
fn answers_after_the_half_close_hold_no_more_than_their_limits() {
    let half = "x".repeat(MOST_HELD_BYTES / 2);
    let small = || vec![String::new(); MOST_HELD];
    // The messages that are just held, and the one too many.
    for (held, over) in [(small(), ""), (vec![half; 2], "x")] {
        let (client, mut answers) = call(Order::AfterHalfClose);
        for message in &held {
            say(&client, message);
        }
        drop(client);
        assert_eq!(now(&mut answers), (held.clone(), true), "at the limit");

        let (client, mut answers) = call(Order::AfterHalfClose);
        for message in held.iter().map(String::as_str).chain([over]) {
            say(&client, message);
        }
        let answer = answers.next().now_or_never().flatten();
        let status = answer.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        let limits = format!("{MOST_HELD} messages or {MOST_HELD_BYTES} bytes");
        assert!(status.message().contains(&limits), "{status}");
        let after = answers.next().now_or_never().flatten();
        assert!(after.is_none(), "nothing may follow an error");
    }
}

#[test]
fn the_other_orders_read_on_past_those_limits() {
    for order in [Order::Each, Order::Pairs] {
        let (client, mut answers) = call(order);
        for _ in 0..MOST_HELD + 2 {
            say(&client, "");
        }
        let (texts, ended) = now(&mut answers);
        assert_eq!((texts.len(), ended), (MOST_HELD + 2, false), "{order:?}");
    }
}

#[test]
fn a_client_that_goes_away_leaves_nothing_behind() {
    for order in ORDERS {
        let (client, mut answers) = call(order);
        say(&client, "half a pair");
        now(&mut answers);
        assert!(!client.is_closed(), "{order:?} should still read");
        drop(answers);
        assert!(client.is_closed(), "{order:?} still reads");
    }
}
