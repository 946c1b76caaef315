//! One image with everything that a step trains on. Torch-free and `Send`.

use super::NetworkImage;
use crate::geometry::{BoundingBox, Ellipse, NetworkPx};

/// An image with its ground truth, in network pixels. An image without objects has empty lists: all of it is background.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSample {
    pub image: NetworkImage,
    pub faces: Vec<BoundingBox<NetworkPx>>,
    /// The label of each object, from 1; missing ones are 1.
    pub labels: Vec<i64>,
    /// The ellipse of each object, `None` if the ground truth is a rectangle.
    pub ellipses: Vec<Option<Ellipse<NetworkPx>>>,
    /// In order of priority, most important first.
    pub hard_negatives: Vec<BoundingBox<NetworkPx>>,
    /// The predicted label of each hard negative, from 1; missing ones are 1.
    pub hard_negative_labels: Vec<i64>,
    /// Boxes on objects that a detector misclassified: RoIs that are sampled first, as foreground of the object's class.
    pub misclassified: Vec<BoundingBox<NetworkPx>>,
    /// Neither foreground nor background.
    pub ignored: Vec<BoundingBox<NetworkPx>>,
}

impl TrainingSample {
    /// Mirrors everything left to right.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let width = f64::from(self.image.width);
        let flip = |b: &BoundingBox<NetworkPx>| BoundingBox::new(width - b.x2, b.y1, width - b.x1, b.y2);
        Self {
            image: self.image.flipped(),
            faces: self.faces.iter().map(flip).collect(),
            labels: self.labels.clone(),
            ellipses: self.ellipses.iter().map(|e| e.map(|e| e.flipped(width))).collect(),
            hard_negatives: self.hard_negatives.iter().map(flip).collect(),
            hard_negative_labels: self.hard_negative_labels.clone(),
            misclassified: self.misclassified.iter().map(flip).collect(),
            ignored: self.ignored.iter().map(flip).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Fit;

    #[test]
    fn flipping_mirrors_boxes_and_keeps_ellipses_in_their_boxes() {
        let image = NetworkImage {
            width: 100,
            height: 2,
            pixels: vec![0.0; 600],
            source: None,
            fit: Fit::new(1.0, 1.0, 0.0, 0.0),
        };
        let ellipse = Ellipse::new(30.0, 20.0, 1.2, 40.0, 50.0);
        let sample = TrainingSample {
            image,
            faces: vec![ellipse.bounding_box()],
            labels: vec![2],
            ellipses: vec![Some(ellipse)],
            hard_negatives: vec![BoundingBox::new(0.0, 1.0, 10.0, 2.0)],
            hard_negative_labels: vec![],
            misclassified: vec![],
            ignored: vec![],
        };
        let flipped = sample.flipped();
        assert_eq!(flipped.hard_negatives, [BoundingBox::new(90.0, 1.0, 100.0, 2.0)]);
        let derived = flipped.ellipses[0].unwrap().bounding_box();
        assert!((derived.x1 - flipped.faces[0].x1).abs() < 1e-9 && (derived.y2 - flipped.faces[0].y2).abs() < 1e-9);
        assert_eq!(flipped.flipped(), sample);
    }
}
