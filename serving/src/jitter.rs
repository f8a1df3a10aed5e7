//! Chance, where many must not do the same thing at the same time.

use std::time::Duration;

/// `time`, give or take up to `share` of it.
pub(crate) fn jittered(time: Duration, share: f64) -> Duration {
    time.mul_f64(1.0 - share + 2.0 * share * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::{Duration, jittered};

    #[test]
    fn it_stays_within_its_share_and_is_not_always_the_same() {
        let time = Duration::from_secs(10);
        let times: Vec<_> = (0..100).map(|_| jittered(time, 0.2)).collect();
        let range = Duration::from_secs(8)..=Duration::from_secs(12);
        assert!(times.iter().all(|time| range.contains(time)), "{times:?}");
        assert!(times.iter().any(|time| *time != times[0]));
    }
}
