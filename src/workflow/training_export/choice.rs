//! Selects the hard negatives to export.

use std::collections::HashMap;

use super::Dose;
use crate::domain::ImageId;
use crate::geometry::BoundingBox;
use crate::store::MinedNegative;

/// Regions of an image with this IoU or more are the same one, mined in several rounds.
const SAME_REGION: f64 = 0.7;

/// Returns the selected ones, best first, and how many the dose excluded. `with_objects`: number of training images with objects.
pub(super) fn choose(mined: &[MinedNegative], dose: &Dose, with_objects: usize) -> (Vec<MinedNegative>, usize) {
    let mut taken: HashMap<ImageId, Vec<BoundingBox>> = HashMap::new();
    let mut of_group = HashMap::new();
    let (mut chosen, mut left) = (Vec::new(), 0);
    for mined in mined {
        let regions = taken.entry(mined.image).or_default();
        if mined.negative.bbox.max_iou(regions).is_some_and(|(_, iou)| iou >= SAME_REGION) {
            continue;
        }
        regions.push(mined.negative.bbox);
        if let (Some(group), Some(most)) = (mined.group, dose.per_group) {
            let count = of_group.entry(group).or_insert(0_usize);
            if *count >= most {
                left += 1;
                continue;
            }
            *count += 1;
        }
        chosen.push(*mined);
    }
    let of_share = dose.share.map(|share| {
        let share = share.clamp(0.0, 1.0);
        if share >= 1.0 { usize::MAX } else { (share / (1.0 - share) * with_objects as f64).floor() as usize }
    });
    let most = dose.number.unwrap_or(usize::MAX).min(of_share.unwrap_or(usize::MAX));
    left += chosen.len().saturating_sub(most);
    chosen.truncate(most);
    (chosen, left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CandidateId, ClassId, FalsePositiveKind, GroupId};
    use crate::store::HardNegative;

    /// One on each image, in groups of four.
    fn mined(count: i64) -> Vec<MinedNegative> {
        let one = |k: i64| MinedNegative {
            candidate: CandidateId(k),
            image: ImageId(k),
            group: (k < 8).then_some(GroupId(k / 4)),
            round: 1,
            negative: HardNegative {
                bbox: BoundingBox::new(0.0, 0.0, 10.0, 10.0),
                class: ClassId::ONLY,
                kind: FalsePositiveKind::Background,
                score: 1.0 - k as f32 / 100.0,
                basis: crate::domain::Basis::Reviewed,
            },
        };
        (0..count).map(one).collect()
    }

    #[test]
    fn a_dose_takes_the_best_first() {
        let check = |dose: Dose, expected: &[i64], left: usize| {
            let (chosen, not) = choose(&mined(10), &dose, 9);
            assert_eq!(
                (chosen.iter().map(|m| m.candidate.0).collect::<Vec<_>>(), not),
                (expected.to_vec(), left),
                "{dose:?}"
            );
        };
        let all = Dose::default();
        check(all, &(0..10).collect::<Vec<_>>(), 0);
        check(Dose { number: Some(3), ..all }, &[0, 1, 2], 7);
        check(Dose { number: Some(0), ..all }, &[], 10);
        check(Dose { per_group: Some(1), ..all }, &[0, 4, 8, 9], 6);
        check(Dose { share: Some(0.1), ..all }, &[0], 9);
        check(Dose { share: Some(0.25), per_group: Some(1), ..all }, &[0, 4, 8], 7);
        check(Dose { share: Some(0.0), ..all }, &[], 10);
        check(Dose { share: Some(1.0), number: Some(2), ..all }, &[0, 1], 8);
    }

    #[test]
    fn one_region_that_several_rounds_found_counts_once() {
        let mut twice = mined(2);
        twice[1].image = twice[0].image;
        assert_eq!(choose(&twice, &Dose::default(), 1).0.len(), 1);
        twice[1].negative.bbox = BoundingBox::new(5.0, 5.0, 15.0, 15.0);
        assert_eq!(choose(&twice, &Dose::default(), 1).0.len(), 2);
    }
}
