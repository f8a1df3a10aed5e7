//! A server that tells of itself as Prometheus reads it: CPU time and memory of a process on any machine.
//!
//! It is asked before the first call of a trial and after the last one, so that no scrape is part of the
//! load, and no call lies across a scrape. What it took in between is shared out among all replies.

use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use engine::{CpuSource, Expect, Measurement, PreparedRequest, ServerCost, Transport};

use crate::{cli::UsageError, target::Target};

/// Time that a scrape may take: Prometheus itself gives up after ten seconds.
const LONGEST_SCRAPE: Duration = Duration::from_secs(10);

/// The path that every exporter uses unless it is told otherwise.
const PATH: &str = "/metrics";

/// The names that Prometheus's client libraries have agreed on.
const CPU: &str = "process_cpu_seconds_total";
const MEMORY: &str = "process_resident_memory_bytes";

/// The address of a server's metrics.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Metrics {
    /// As it was given.
    pub(crate) url: String,
    target: Target,
    path: String,
}

/// One scrape, or the sum of several.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scrape {
    cpu_seconds: f64,
    memory_kib: u64,
}

impl Metrics {
    /// Reads `http://host:port/path`; without a path it is `/metrics`.
    pub(crate) fn parse(given: &str) -> Result<Self, UsageError> {
        let after = given.find("://").map_or(0, |at| at + 3);
        let slash = given[after..].find('/').map(|at| after + at);
        let (host, path) = given.split_at(slash.unwrap_or(given.len()));
        let target = Target::parse("--server-metrics", host)
            .map_err(|error| UsageError(error.to_string()))?;
        let path = if path.len() > 1 { path } else { PATH };
        Ok(Self {
            url: format!("{}{path}", target.url()),
            path: path.to_owned(),
            target,
        })
    }

    /// Asks once.
    ///
    /// # Errors
    /// When nobody answers, or the answer tells no CPU time.
    pub(crate) async fn scrape(&self) -> anyhow::Result<Scrape> {
        self.asked()
            .await
            .with_context(|| format!("--server-metrics {} cannot be used", self.url))
    }

    async fn asked(&self) -> anyhow::Result<Scrape> {
        let found = self.target.find().await;
        let endpoint = found.map_err(|reason| anyhow!("it {reason}"))?;
        let accept = "text/plain;version=0.0.4";
        let request = PreparedRequest {
            method: "GET".to_owned(),
            path: self.path.clone(),
            headers: vec![("accept".to_owned(), accept.to_owned())],
            body: Bytes::new(),
            expect: Expect::Status,
        };
        let asked = engine::probe(Transport::Http1, &endpoint, &request, LONGEST_SCRAPE);
        let reply = asked.await?;
        let text = std::str::from_utf8(&reply.body).context("it answers no text")?;
        let cpu_seconds = sum(text, CPU)
            .with_context(|| format!("it answers without {CPU}; is it of another process?"))?;
        Ok(Scrape {
            cpu_seconds,
            memory_kib: (sum(text, MEMORY).unwrap_or_default() / 1024.0) as u64,
        })
    }
}

/// Asks all of `metrics`.
///
/// # Errors
/// As [`Metrics::scrape`].
pub(crate) async fn scrape(metrics: &[Metrics]) -> anyhow::Result<Scrape> {
    let mut all = Scrape::default();
    for one in metrics {
        let one = one.scrape().await?;
        all.cpu_seconds += one.cpu_seconds;
        all.memory_kib += one.memory_kib;
    }
    Ok(all)
}

/// Adds what was told before the first call and after the last one of `measurement` to its server's cost. A
/// count that has fallen is another process's.
pub(crate) fn add(measurement: &mut Measurement, before: Scrape, after: Scrape) {
    let seconds = after.cpu_seconds - before.cpu_seconds;
    if seconds < 0.0 {
        measurement.server_lost = true;
    }
    if seconds < 0.0 || measurement.completed_in_all == 0 {
        measurement.server = None;
        return;
    }
    let share = measurement.completed as f64 / measurement.completed_in_all as f64;
    let known = measurement.server.take();
    let known = known.unwrap_or(ServerCost {
        cpu_us: 0,
        cpu_source: None,
        memory_at_rest_kib: 0,
        memory_under_load_kib: 0,
    });
    measurement.server = Some(ServerCost {
        cpu_us: known.cpu_us + (seconds * share * 1e6).round() as u64,
        cpu_source: Some(CpuSource::Metrics),
        memory_at_rest_kib: known.memory_at_rest_kib + before.memory_kib,
        memory_under_load_kib: known.memory_under_load_kib + after.memory_kib,
    });
}

/// The sum of all samples of `name` in the text format of Prometheus or OpenMetrics; none if there is none.
fn sum(text: &str, name: &str) -> Option<f64> {
    let samples = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            // A value of a label may hold a bracket, and what stands after the last one is a number, or a
            // number and a time.
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix([' ', '\t'])?,
        };
        let value: f64 = value.split_whitespace().next()?.parse().ok()?;
        value.is_finite().then_some(value)
    });
    samples.reduce(|one, other| one + other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_among_others_with_labels_and_without() {
        let text = "# TYPE process_cpu_seconds_total counter\n\
                    process_cpu_seconds_total 1.5\n\
                    process_cpu_seconds_total{worker=\"a}\"} 2e0 1700000000\n\
                    process_cpu_seconds_total_more 9\n\
                    process_resident_memory_bytes 2.048e+06\n";
        assert_eq!(sum(text, CPU), Some(3.5));
        assert_eq!(sum(text, MEMORY), Some(2_048_000.0));
        assert_eq!(sum("go_goroutines 7\n", CPU), None);
        assert_eq!(sum("process_cpu_seconds_total NaN\n", CPU), None);
    }

    #[test]
    fn an_address_without_a_path_means_slash_metrics() {
        for (given, url) in [
            ("http://localhost:9464", "http://localhost:9464/metrics"),
            ("http://localhost:9464/", "http://localhost:9464/metrics"),
            ("http://[::1]:1/internal/m", "http://[::1]:1/internal/m"),
        ] {
            assert_eq!(Metrics::parse(given).unwrap().url, url, "{given}");
        }
        let error = Metrics::parse("localhost:9464").unwrap_err().to_string();
        assert!(
            error.contains("--server-metrics") && error.contains("scheme"),
            "{error}"
        );
    }
}
