//! Notices `x1, y1, x2, y2` where COCO has `x, y, width, height`.

use std::path::Path;

use crate::domain::{Shape, printable_path};

/// Counts boxes that extend beyond their image as COCO's `x, y, width, height` but would fit as two corners: a common error of converters.
#[derive(Debug, Default)]
pub struct LikeCorners {
    boxes: usize,
    like_corners: usize,
}

impl LikeCorners {
    /// `declared`: the image's width and height, if known.
    pub fn look(&mut self, declared: Option<(u32, u32)>, shape: &Shape) {
        let (Some((width, height)), Shape::Rectangle(b)) = (declared, shape) else { return };
        let (width, height) = (f64::from(width) + 1.0, f64::from(height) + 1.0);
        let is_beyond = b.x2 > width || b.y2 > height;
        let (x2, y2) = (b.width(), b.height());
        self.boxes += 1;
        self.like_corners += usize::from(is_beyond && b.x1 < x2 && x2 <= width && b.y1 < y2 && y2 <= height);
    }

    /// Returns a warning if this applies to more than a third: boxes in the top-left quarter fit either way.
    pub fn warning(&self, file: &Path) -> Option<String> {
        (self.like_corners * 3 > self.boxes).then(|| {
            format!(
                "{}: {} of {} boxes reach beyond their image, and would not if bbox were two corners: COCO's bbox is x, y, width, height.",
                printable_path(file),
                self.like_corners,
                self.boxes
            )
        })
    }
}
