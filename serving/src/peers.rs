//! The connections of a listener by peer, so that at their limit an idle one can make room for the next.

use std::{
    cmp::Reverse,
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{chunk::Open, telemetry::metrics::locked};

/// A connection makes no room before it has been idle for so long: its peer may be about to ask.
const IDLE: Duration = Duration::from_secs(1);

/// The connections of one listener.
#[derive(Debug)]
pub(crate) struct Peers {
    seats: Arc<Mutex<Seats>>,
    /// Addresses that many peers share.
    shared: Vec<IpAddr>,
}

#[derive(Debug, Default)]
struct Seats {
    next: u64,
    taken: HashMap<u64, (Option<IpAddr>, Arc<Open>)>,
}

/// The place of one connection, which is free when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Mutex<Seats>>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        locked(&self.seats).taken.remove(&self.number);
    }
}

impl Peers {
    /// None yet. The addresses `shared` are not those of a peer, and neither is loopback.
    pub(crate) fn new(shared: &[IpAddr]) -> Self {
        Self {
            seats: Arc::default(),
            shared: shared.iter().map(IpAddr::to_canonical).collect(),
        }
    }

    /// A place for a connection of `peer`, and what it has `open`.
    pub(crate) fn seat(&self, peer: IpAddr, open: &Arc<Open>) -> Seat {
        let peer = peer.to_canonical();
        let is_shared = peer.is_loopback() || self.shared.contains(&peer);
        let mut seats = locked(&self.seats);
        let number = seats.next;
        seats.next += 1;
        let peer = (!is_shared).then_some(peer);
        seats.taken.insert(number, (peer, Arc::clone(open)));
        Seat {
            seats: Arc::clone(&self.seats),
            number,
        }
    }

    /// At most `most` connections that can make room, and were not asked to: those of the peers that have the
    /// most connections, and among these the ones that have been idle for the longest time. Each behind a
    /// shared address is taken for a peer of its own.
    pub(crate) fn longest_idle(&self, most: usize) -> Vec<Arc<Open>> {
        let seats = locked(&self.seats);
        let mut counts = HashMap::<IpAddr, usize>::new();
        for (peer, _) in seats.taken.values() {
            if let Some(peer) = peer {
                *counts.entry(*peer).or_default() += 1;
            }
        }
        let idle = seats.taken.values().filter_map(|(peer, open)| {
            let since = open
                .gives_way_since()
                .filter(|since| since.elapsed() >= IDLE)?;
            let count = peer.map_or(1, |peer| counts[&peer]);
            (!open.is_going()).then_some((Reverse(count), since, open))
        });
        let mut idle: Vec<_> = idle.collect();
        if most < idle.len() {
            idle.select_nth_unstable_by_key(most, |(count, since, _)| (*count, *since));
            idle.truncate(most);
        }
        idle.into_iter()
            .map(|(.., open)| Arc::clone(open))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Arc, Duration, Open, Peers, Seat};
    use crate::{chunk::Account, limits::Limits};
    use tokio::time::{Instant, advance};

    /// Connects `peers`, a second one after the other, and tells which makes room, after a while.
    async fn makes_room(peers: &[&str], busy: &[usize]) -> Option<usize> {
        let account = Arc::new(Account::new(&Limits::default()));
        let registry = Peers::new(&["192.0.2.9".parse().unwrap()]);
        let mut connections: Vec<(Arc<Open>, Seat)> = Vec::new();
        for (place, peer) in peers.iter().enumerate() {
            let peer: IpAddr = peer.parse().unwrap();
            let open = Arc::new(Open::new(&account));
            if busy.contains(&place) {
                assert!(account.take_call());
                open.begin(Instant::now());
            }
            let seat = registry.seat(peer, &open);
            connections.push((open, seat));
            advance(Duration::from_secs(1)).await;
        }
        let first = registry.longest_idle(1).pop()?;
        connections
            .iter()
            .position(|(open, _)| Arc::ptr_eq(open, &first))
    }

    #[tokio::test(start_paused = true)]
    async fn the_peer_with_the_most_makes_room_by_what_is_idle_for_the_longest_time() {
        let (a, b) = ("192.0.2.1", "2001:db8::1");
        assert_eq!(makes_room(&[a, b, b], &[]).await, Some(1));
        assert_eq!(makes_room(&[a, b, b], &[1]).await, Some(2));
        // If it uses them all, another does.
        assert_eq!(makes_room(&[a, b, b], &[1, 2]).await, Some(0));
        assert_eq!(makes_room(&[a, b], &[0, 1]).await, None);
        // One address, written in two ways.
        assert_eq!(makes_room(&[b, a, "::ffff:192.0.2.1"], &[]).await, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn many_make_room_together_and_each_is_asked_once() {
        let account = Arc::new(Account::new(&Limits::default()));
        let registry = Peers::new(&[]);
        let peer: IpAddr = "192.0.2.1".parse().unwrap();
        let mut connections = Vec::new();
        for _ in 0..10 {
            let open = Arc::new(Open::new(&account));
            let seat = registry.seat(peer, &open);
            connections.push((open, seat));
            advance(Duration::from_secs(1)).await;
        }
        for (most, asked) in [(1, 0..1), (4, 1..5), (64, 5..10), (64, 10..10)] {
            let going = registry.longest_idle(most);
            assert_eq!(going.len(), asked.len());
            for (open, _) in &connections[asked] {
                assert!(going.iter().any(|going| Arc::ptr_eq(going, open)));
                open.make_room();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_shared_address_is_no_peer() {
        let (proxy, a) = ("192.0.2.9", "192.0.2.1");
        assert_eq!(makes_room(&[proxy, proxy, proxy, a, a], &[]).await, Some(3));
        let local = ["::1", "127.0.0.1", "::ffff:127.0.0.1"];
        assert_eq!(
            makes_room(&[&local[..], &[a, a]].concat(), &[]).await,
            Some(3)
        );
        assert_eq!(makes_room(&local, &[]).await, Some(0));
    }
}
