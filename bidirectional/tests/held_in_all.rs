//! The limit on what all streams hold together until they half-close. This test is alone in its process,
//! as it fills all of that limit.

use bidirectional::order::{Answers, MOST_HELD_BYTES, MOST_HELD_IN_ALL, Order};
use futures_util::{FutureExt, StreamExt, stream};
use proto::bidirectional::Message;
use tonic::Code;

/// A stream that holds a message of `bytes` and does not half-close; its answers.
fn holding(bytes: usize) -> Answers {
    let message = "x".repeat(bytes);
    let messages = stream::iter([Ok(Message { message })]).chain(stream::pending());
    Order::AfterHalfClose.answers(messages)
}

#[test]
fn the_stream_too_many_is_refused_and_room_comes_back() {
    let most = MOST_HELD_IN_ALL / MOST_HELD_BYTES;
    let mut streams: Vec<Answers> = (1..most).map(|_| holding(MOST_HELD_BYTES)).collect();
    for stream in &mut streams {
        assert!(stream.next().now_or_never().is_none(), "it waits");
    }
    let mut one_too_many = holding(MOST_HELD_BYTES);
    let refused = one_too_many.next().now_or_never().flatten();
    let refused = refused.and_then(Result::err).expect("it is refused");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    drop((streams, one_too_many));
    assert!(holding(MOST_HELD_BYTES).next().now_or_never().is_none());
}
