//! The price of making many claims.

/// At most this share of pages has a false claim in its headline.
pub const HEADLINE_LEVEL: f64 = 0.01;

/// At most this share of pages has a false claim beside its headline.
pub const REST_LEVEL: f64 = 0.04;

/// The claims that share one chance of a false one, and how many they are.
///
/// Each has an equal part of it (Bonferroni), whatever depends on what: one page in a hundred may have
/// a false headline, one in twenty any false claim. A claim is false only once, as a difference or as
/// an equivalence, so that claims of equivalence are counted and corrected like the others. The number
/// of claims of a family follows from the plan, not from what came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The claims of the headline.
    Headline {
        /// Number of these claims.
        claims: usize,
    },
    /// All other claims of the page.
    Rest {
        /// Number of these claims.
        claims: usize,
    },
}

impl Family {
    /// The level that each claim has, two-sided.
    pub fn level(self) -> f64 {
        let (level, claims) = match self {
            Self::Headline { claims } => (HEADLINE_LEVEL, claims),
            Self::Rest { claims } => (REST_LEVEL, claims),
        };
        level / claims.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claims_of_a_page_share_five_percent() {
        let (headline, rest) = (
            Family::Headline { claims: 2 }.level(),
            Family::Rest { claims: 28 }.level(),
        );
        assert!((2.0 * headline - 0.01).abs() < 1e-12);
        assert!((2.0 * headline + 28.0 * rest - 0.05).abs() < 1e-12);
    }
}
