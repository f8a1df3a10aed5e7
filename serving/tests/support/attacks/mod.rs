//! Attacks on the real server programs. The test files of the servers' crates include this by path,
//! so that every server meets the same ones. During each attack an honest client is served, and after
//! it the server is as it was: see [`siege`].

mod bad_frames;
mod bad_frames_corpus;
mod bad_heads;
mod descriptors;
mod floods;
mod heads;
mod peer;
mod process;
mod resets;
mod siege;
mod silent;
mod sizes;
mod slow;
mod unread;
mod wire;

#[allow(unused_imports, reason = "only one server speaks REST")]
pub(crate) use self::{
    bad_frames::*, bad_heads::*, descriptors::*, floods::*, heads::*, resets::*, siege::*,
    silent::*, sizes::*, slow::*, unread::*, wire::text_field,
};

/// One test for each attack of a list on one target.
#[allow(
    unused_macros,
    reason = "the attacks on the stock server are another list"
)]
macro_rules! attack {
    ($target:expr, $($attack:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $attack() {
            crate::attacks::$attack(&$target).await;
        }
    )*};
}

/// Every attack on a gRPC listener.
#[allow(
    unused_macros,
    reason = "the attacks on the stock server are another list"
)]
macro_rules! attack_grpc {
    ($target:expr) => {
        mod grpc {
            crate::attacks::attack! { $target,
                silent_connections_are_cut
                half_a_preface_is_cut
                a_preface_without_settings_is_cut
                streams_without_a_window_are_reset
                requests_whose_answers_are_not_read_are_cut
                pings_whose_answers_are_not_read_are_cut
                a_rapid_reset_ends_its_connection
                provoked_resets_end_their_connection
                a_continuation_flood_ends_its_connection
                a_flood_of_empty_data_ends_its_connection
                small_frames_take_no_more_memory_than_they_carry
                a_ping_flood_takes_no_memory
                a_settings_flood_takes_no_memory
                a_header_bomb_is_refused
                a_long_header_list_is_refused
                an_oversized_message_is_refused_by_its_length
                a_compressed_bomb_is_not_inflated
                half_sent_messages_are_held_within_their_room
                bad_frames_end_at_most_their_connection
                descriptors_that_run_out_on_grpc_stop_nobody
            }
        }
    };
}

/// Every attack on a service that answers as much as it is sent.
#[allow(unused_macros, reason = "one server's answers are short")]
macro_rules! attack_echo {
    ($target:expr) => {
        mod echo {
            crate::attacks::attack! { $target, large_answers_without_a_window_are_reset }
        }
    };
}

/// Every attack on a REST listener.
#[allow(unused_macros, reason = "only one server speaks REST")]
macro_rules! attack_rest {
    ($target:expr) => {
        mod rest {
            crate::attacks::attack! { $target,
                silent_connections_to_rest_are_cut
                idle_connections_to_rest_are_cut
                slow_heads_are_cut
                slow_bodies_are_cut
                pipelined_requests_whose_answers_are_not_read_are_cut
                oversized_heads_uris_and_bodies_are_refused
                bad_heads_are_never_served
                endless_chunks_are_refused
                descriptors_that_run_out_on_rest_stop_nobody
            }
        }
    };
}

pub(crate) use attack;
#[allow(unused_imports, reason = "one server's answers are short")]
pub(crate) use attack_echo;
pub(crate) use attack_grpc;
#[allow(unused_imports, reason = "only one server speaks REST")]
pub(crate) use attack_rest;
