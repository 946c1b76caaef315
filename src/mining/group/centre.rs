//! The centre of a set of features: cosines about it separate what cosines about the origin do not, because the features of a network's last
//! layers all point roughly the same way.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::{Deserialize, Serialize};

use crate::domain::{ROI_FEATURE_LENGTH, RoiFeature};

/// The mean direction of features of one space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Centre {
    /// Number of features that it is the mean of.
    count: usize,
    mean: [f32; ROI_FEATURE_LENGTH],
}

/// A [`Centre`] in JSON.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    count: usize,
    mean: Vec<f32>,
}

impl TryFrom<Stored> for Centre {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let wrong = |mean: Vec<f32>| format!("a centre has {ROI_FEATURE_LENGTH} finite values, not {}", mean.len());
        if !stored.mean.iter().all(|value| value.is_finite()) {
            return Err(wrong(stored.mean));
        }
        Ok(Self { count: stored.count, mean: stored.mean.try_into().map_err(wrong)? })
    }
}

impl From<Centre> for Stored {
    fn from(centre: Centre) -> Self {
        Self { count: centre.count, mean: centre.mean.to_vec() }
    }
}

impl Centre {
    /// The mean of fewer features says little about others.
    pub const FEATURES_MIN: usize = 100;

    /// Returns the mean of the features' directions; `None` for fewer than [`Centre::FEATURES_MIN`].
    pub fn of<'a>(features: impl ExactSizeIterator<Item = &'a RoiFeature>) -> Option<Self> {
        let count = features.len();
        if count < Self::FEATURES_MIN {
            return None;
        }
        let mut sum = [0.0_f64; ROI_FEATURE_LENGTH];
        for feature in features {
            sum.iter_mut().zip(direction(feature)).for_each(|(sum, value)| *sum += f64::from(value));
        }
        Some(Self { count, mean: sum.map(|sum| (sum / count as f64) as f32) })
    }

    /// Whether so many features have been added since that the mean should be computed again.
    pub fn is_outgrown_by(&self, count: usize) -> bool {
        count >= 2 * self.count
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Reads what [`Centre::to_text`] wrote; `None` if it is damaged.
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Returns the centre as JSON.
    pub fn to_text(&self) -> String {
        // Numbers are always JSON; an empty text would be computed again.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns the direction of a feature as seen from the centre; `None` if it is the centre.
    pub fn towards(&self, feature: &RoiFeature) -> Option<RoiFeature> {
        let from_centre: Vec<f32> = direction(feature).zip(&self.mean).map(|(value, mean)| value - mean).collect();
        RoiFeature::of(&from_centre)
    }
}

/// The feature's values, scaled to a norm of 1.
fn direction(feature: &RoiFeature) -> impl Iterator<Item = f32> {
    let values = feature.values();
    let norm = values.iter().map(|v| f32::from(*v).powi(2)).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    values.iter().map(move |v| f32::from(*v) / norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A feature that shares most of its values with all others, and differs by a wave of this phase.
    fn common_and(phase: f32) -> RoiFeature {
        let values: Vec<f32> = (0..ROI_FEATURE_LENGTH).map(|k| 5.0 + (k as f32 * 0.7 + phase).sin()).collect();
        RoiFeature::of(&values).unwrap()
    }

    #[test]
    fn what_all_have_in_common_no_longer_counts() {
        let features: Vec<RoiFeature> =
            (0..120).map(|k| common_and(k as f32 * std::f32::consts::TAU / 120.0)).collect();
        let (a, b) = (common_and(0.0), common_and(2.0));
        assert!(a.cosine(&b) > 0.95);
        let centre = Centre::of(features.iter()).unwrap();
        let (a, b) = (centre.towards(&a).unwrap(), centre.towards(&b).unwrap());
        assert!((a.cosine(&b) - 2.0_f32.cos()).abs() < 0.05, "{}", a.cosine(&b));
        assert!(Centre::of(features.iter().take(99)).is_none());
        assert_eq!((centre.is_outgrown_by(239), centre.is_outgrown_by(240)), (false, true));
    }

    #[test]
    fn it_is_read_as_it_was_written_and_a_damaged_one_is_refused() {
        let features: Vec<RoiFeature> = (0..100).map(|k| common_and(k as f32)).collect();
        let centre = Centre::of(features.iter()).unwrap();
        assert_eq!(Centre::from_text(&centre.to_text()), Some(centre));
        for bad in [r#"{"count": 100, "mean": [1, 2]}"#, r#"{"count": 100}"#, "[]"] {
            assert!(Centre::from_text(bad).is_none(), "{bad}");
        }
    }
}
