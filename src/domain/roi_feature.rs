//! The features of a box in the detector's second stage, reduced to a short vector.

use super::RoundId;

/// Length of a [`RoiFeature`].
pub const ROI_FEATURE_LENGTH: usize = 128;

/// Which features are comparable with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeatureSpace {
    /// Features from a round's own detector.
    Round(RoundId),
    /// Features of the crop from the bundled backbone, used for the detections of every other model.
    Backbone,
}

/// The direction of a RoI's features after a fixed random projection, quantised so that the largest value is 127. Only comparable among
/// RoIs of one checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoiFeature([i8; ROI_FEATURE_LENGTH]);

impl RoiFeature {
    /// Quantises projected values. `None` for a wrong length, NaN or infinite values, or all zeros (no direction).
    pub fn of(values: &[f32]) -> Option<Self> {
        let largest = values.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        if values.len() != ROI_FEATURE_LENGTH || !values.iter().all(|v| v.is_finite()) || largest == 0.0 {
            return None;
        }
        Some(Self(std::array::from_fn(|k| (values[k] / largest * 127.0).round() as i8)))
    }

    /// The inverse of [`RoiFeature::bytes`].
    pub fn from_bytes(bytes: [u8; ROI_FEATURE_LENGTH]) -> Self {
        Self(bytes.map(u8::cast_signed))
    }

    pub fn bytes(&self) -> [u8; ROI_FEATURE_LENGTH] {
        self.0.map(i8::cast_unsigned)
    }

    pub fn values(&self) -> &[i8; ROI_FEATURE_LENGTH] {
        &self.0
    }

    /// Returns the cosine similarity of two features, -1 to 1.
    pub fn cosine(&self, other: &Self) -> f32 {
        self.dot(other) as f32 / (self.dot(self) as f32 * other.dot(other) as f32).sqrt().max(f32::MIN_POSITIVE)
    }

    fn dot(&self, other: &Self) -> i32 {
        self.0.iter().zip(&other.0).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cosine_survives_rounding_and_storing() {
        let wave =
            |phase: f32| -> Vec<f32> { (0..ROI_FEATURE_LENGTH).map(|k| (k as f32 * 0.7 + phase).sin()).collect() };
        let cosine = |a: &[f32], b: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        for (a, b) in [(0.0, 0.0), (0.0, 0.3), (0.2, 1.5), (0.0, 3.1)] {
            let (a, b) = (wave(a), wave(b));
            let (x, y) = (RoiFeature::of(&a).unwrap(), RoiFeature::of(&b).unwrap());
            assert!((x.cosine(&y) - cosine(&a, &b)).abs() < 0.005);
            assert_eq!(RoiFeature::from_bytes(x.bytes()), x);
        }
        assert_eq!(RoiFeature::of(&[1.0; 3]), None);
        assert_eq!(RoiFeature::of(&[0.0; ROI_FEATURE_LENGTH]), None);
        assert_eq!(RoiFeature::of(&[f32::NAN; ROI_FEATURE_LENGTH]), None);
    }
}
