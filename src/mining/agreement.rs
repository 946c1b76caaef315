//! Agreement of two annotators corrected for chance (Cohen's kappa).

/// The agreement of two annotators on items that both decided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Number of items that both decided.
    pub both: u64,
    /// Fraction of them on which they agree; NaN if there are none.
    pub observed: f64,
    /// Cohen's kappa: 1 for full agreement, 0 for chance level; NaN without items, 1 if both always gave the same single answer.
    pub kappa: f64,
}

/// Cohen (1960), "A coefficient of agreement for nominal scales": `(p_o - p_e) / (1 - p_e)` over pairs of decisions.
pub fn cohens_kappa<T: PartialEq>(pairs: &[(T, T)]) -> Agreement {
    let n = pairs.len() as f64;
    if pairs.is_empty() {
        return Agreement { both: 0, observed: f64::NAN, kappa: f64::NAN };
    }
    let observed = pairs.iter().filter(|(a, b)| a == b).count() as f64 / n;
    let mut kinds: Vec<&T> = Vec::new();
    for kind in pairs.iter().flat_map(|(a, b)| [a, b]) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let share = |kind: &&T| {
        let first = pairs.iter().filter(|(a, _)| a == *kind).count() as f64 / n;
        let second = pairs.iter().filter(|(_, b)| b == *kind).count() as f64 / n;
        first * second
    };
    let expected: f64 = kinds.iter().map(share).sum();
    let kappa = if expected < 1.0 { (observed - expected) / (1.0 - expected) } else { 1.0 };
    Agreement { both: pairs.len() as u64, observed, kappa }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kappa_of_known_tables() {
        let table = |counts: [usize; 4]| {
            let cells = [('y', 'y'), ('y', 'n'), ('n', 'y'), ('n', 'n')];
            cells.iter().zip(counts).flat_map(|(cell, n)| std::iter::repeat_n(*cell, n)).collect::<Vec<_>>()
        };
        let check = |counts, expected: f64| {
            let agreement = cohens_kappa(&table(counts));
            assert!((agreement.kappa - expected).abs() < 1e-4, "{counts:?} {agreement:?}");
        };
        // The worked examples of Wikipedia's article on Cohen's kappa.
        check([20, 5, 10, 15], 0.4);
        check([45, 15, 25, 15], 0.1304);
        check([25, 35, 5, 35], 0.2593);
        check([10, 0, 0, 10], 1.0);
        check([0, 10, 10, 0], -1.0);
        check([7, 0, 0, 0], 1.0);
        assert!(cohens_kappa::<char>(&[]).kappa.is_nan());
    }
}
