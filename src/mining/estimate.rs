//! Estimates a proportion from a random sample, with its confidence interval.

/// A proportion and its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proportion {
    /// Proportion in the sample; NaN for an empty sample.
    pub estimate: f64,
    pub low: f64,
    pub high: f64,
    pub sample: u64,
}

/// The z of a two-sided 95 % interval.
const Z_95: f64 = 1.959_963_984_540_054;

/// Wilson's score interval (1927), 95 %, for `successes` in a random sample of size `sample` from a `population`. The finite population
/// correction narrows it as the sample approaches the population. An empty sample gives 0..1.
pub fn wilson_interval(successes: u64, sample: u64, population: u64) -> Proportion {
    if sample == 0 {
        return Proportion { estimate: f64::NAN, low: 0.0, high: 1.0, sample };
    }
    let (n, k) = (sample as f64, successes as f64);
    let estimate = k / n;
    let whole = population as f64;
    if population <= sample {
        return Proportion { estimate, low: estimate, high: estimate, sample };
    }
    // The correction acts like a sample larger by this factor (Cochran, Sampling Techniques, 1977).
    let n = n * (whole - 1.0) / (whole - n);
    let z2 = Z_95 * Z_95;
    let centre = (estimate + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z_95 / (1.0 + z2 / n) * (estimate * (1.0 - estimate) / n + z2 / (4.0 * n * n)).sqrt();
    Proportion { estimate, low: (centre - half).max(0.0), high: (centre + half).min(1.0), sample }
}

/// Returns the proportion among the `population - sample` items outside the sample, from the overall proportion and the sample's
/// `successes`: the known sample is subtracted from both ends of the interval. If nothing is left, returns the overall proportion.
pub fn of_the_rest(all: &Proportion, successes: u64, population: u64) -> Proportion {
    let rest = population.saturating_sub(all.sample) as f64;
    if rest <= 0.0 {
        return *all;
    }
    let share = |of_all: f64| ((of_all * population as f64 - successes as f64) / rest).clamp(0.0, 1.0);
    Proportion { estimate: all.estimate, low: share(all.low), high: share(all.high), sample: all.sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_of_known_samples() {
        let check = |k, n, low: f64, high: f64| {
            let p = wilson_interval(k, n, u64::MAX);
            assert!((p.low - low).abs() < 5e-4 && (p.high - high).abs() < 5e-4, "{k}/{n}: {p:?}");
        };
        // Newcombe (1998), Statistics in Medicine 17, table I, method 3.
        check(81, 263, 0.2553, 0.3662);
        check(15, 148, 0.0624, 0.1605);
        check(0, 20, 0.0, 0.1611);
        check(1, 29, 0.0061, 0.1718);
    }

    #[test]
    fn the_rest_is_less_certain_than_the_whole_and_has_the_same_estimate() {
        let all = wilson_interval(30, 40, 100);
        let rest = of_the_rest(&all, 30, 100);
        assert!(rest.low < all.low && all.high < rest.high, "{all:?} {rest:?}");
        // The ends of the interval correspond to the same total number of hard negatives.
        assert!((rest.low * 60.0 + 30.0 - all.low * 100.0).abs() < 1e-9);
        assert_eq!(rest.estimate, 0.75);
        let none = of_the_rest(&wilson_interval(0, 0, 100), 0, 100);
        assert_eq!((none.low, none.high), (0.0, 1.0));
        let whole = wilson_interval(3, 4, 4);
        assert_eq!(of_the_rest(&whole, 3, 4), whole);
    }

    #[test]
    fn a_sample_of_all_leaves_no_doubt_and_none_leaves_all() {
        let all = wilson_interval(30, 40, 40);
        assert_eq!((all.low, all.high), (0.75, 0.75));
        let none = wilson_interval(0, 0, 40);
        assert_eq!((none.low, none.high), (0.0, 1.0));
        let most = wilson_interval(27, 36, 40);
        assert!(most.high - most.low < 0.12, "{most:?}");
    }
}
