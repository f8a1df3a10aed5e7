//! Reasons for which a service cannot be measured: each is one line that says what to do.

use thiserror::Error;

/// Reason for which a service cannot be measured.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// An option or a file that cannot be carried out.
    #[error("{0}")]
    Input(String),
    /// The service does not answer, or not as it should.
    #[error("{0}")]
    Service(String),
}

impl ServiceError {
    /// An option or a file, in a sentence.
    pub fn input(sentence: impl Into<String>) -> Self {
        Self::Input(sentence.into())
    }

    /// The service, in a sentence.
    pub fn service(sentence: impl Into<String>) -> Self {
        Self::Service(sentence.into())
    }
}

/// The one of `known` whose spelling is the nearest to `given`, if any is near.
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Jaro-Winkler: typing errors and other cases are above it, other words below.
    const NEAR: f64 = 0.7;
    let given = given.to_ascii_lowercase();
    let rated = known.into_iter().map(|name| {
        (
            strsim::jaro_winkler(&given, &name.to_ascii_lowercase()),
            name,
        )
    });
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(rate, _)| *rate >= NEAR).map(|(_, name)| name)
}
