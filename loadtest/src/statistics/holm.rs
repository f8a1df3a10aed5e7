//! Many claims at once.

/// Holm's adjusted p of each of `ps` (Scandinavian Journal of Statistics 6, 1979): with them the
/// chance that any claim of the family is false stays below the level, whatever depends on what.
pub fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut adjusted = vec![1.0; ps.len()];
    let mut most = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (ps.len() - rank) as f64;
        most = most.max((left * ps[index]).min(1.0));
        adjusted[index] = most;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn worked_examples() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm").
        for (ps, expected) in [
            (
                &[0.01, 0.04, 0.03, 0.005][..],
                &[0.03, 0.06, 0.06, 0.02][..],
            ),
            (&[0.5, 0.6], &[1.0, 1.0]),
            (&[0.02], &[0.02]),
            (&[], &[]),
        ] {
            let found = holm(ps);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12;
            assert!(found.iter().zip(expected).all(close), "{ps:?}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn it_never_lowers_a_p_and_keeps_their_order(
            ps in prop::collection::vec(0.0_f64..=1.0, 0..20)
        ) {
            let adjusted = holm(&ps);
            for (one, p) in ps.iter().enumerate() {
                prop_assert!(adjusted[one] >= *p && adjusted[one] <= 1.0);
                for (two, q) in ps.iter().enumerate() {
                    prop_assert!(p > q || adjusted[one] <= adjusted[two]);
                }
            }
        }
    }
}
