//! Monotone precision over recall, sampled at fixed recalls; shared by COCO's and TIDE's average precision.

/// Returns the mean precision at `recalls` (ascending), taking the largest precision at that recall or above. `hits` says for each counted
/// detection, best first, whether it found an object; `objects` is above 0.
pub(super) fn interpolated(hits: impl Iterator<Item = bool>, objects: usize, recalls: &[f64]) -> f64 {
    // Precision only falls between two hits, so only hits matter. `precision[k]`: when k + 1 objects are found.
    let mut precision: Vec<f64> = Vec::new();
    for (k, hit) in hits.enumerate() {
        if hit {
            precision.push((precision.len() + 1) as f64 / (k + 1) as f64);
        }
    }
    for k in (1..precision.len()).rev() {
        precision[k - 1] = precision[k - 1].max(precision[k]);
    }
    let mut at = 0;
    let each = recalls.iter().map(|&recall| {
        while at < precision.len() && ((at + 1) as f64 / objects as f64) < recall {
            at += 1;
        }
        precision.get(at).copied().unwrap_or(0.0)
    });
    each.sum::<f64>() / recalls.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_at_ranks_1_and_3_interpolate() {
        let recalls: Vec<f64> = (0..101).map(|k| f64::from(k) * 0.01).collect();
        let check = |hits: &[bool], objects, expected: f64| {
            assert!((interpolated(hits.iter().copied(), objects, &recalls) - expected).abs() < 1e-12, "{hits:?}");
        };
        check(&[true], 1, 1.0);
        check(&[], 3, 0.0);
        check(&[false, false], 3, 0.0);
        check(&[false, true], 1, 0.5);
        check(&[true, false, true], 2, (51.0 + 50.0 * 2.0 / 3.0) / 101.0);
    }
}
