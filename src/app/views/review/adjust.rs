//! Adjusts an object's shape by keys and handles: ellipses rotate, rectangles do not. Pure geometry.

use crate::domain::Shape;
use crate::geometry::{BoundingBox, Ellipse};

/// Minimum semi-axis of an ellipse, and half side of a rectangle, in image pixels; a smaller shape is not shrunk further.
const SMALLEST: f64 = 2.0;

/// The effect of dragging a shape's handle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handle {
    /// Moves the shape.
    Center,
    /// Either end of the semi-axis `ra`; rotates and stretches.
    Long(bool),
    /// Either end of the semi-axis `rb`; stretches.
    Short(bool),
    /// A rectangle's corner: right or left, bottom or top.
    Corner(bool, bool),
}

impl Handle {
    const OF_ELLIPSE: [Self; 5] =
        [Self::Long(true), Self::Long(false), Self::Short(true), Self::Short(false), Self::Center];
    const OF_RECTANGLE: [Self; 5] = [
        Self::Corner(false, false),
        Self::Corner(true, false),
        Self::Corner(true, true),
        Self::Corner(false, true),
        Self::Center,
    ];

    /// Returns a shape's handles.
    pub fn of(shape: &Shape) -> [Self; 5] {
        match shape {
            Shape::Ellipse(_) => Self::OF_ELLIPSE,
            Shape::Rectangle(_) => Self::OF_RECTANGLE,
        }
    }

    /// Returns the handle's position in image pixels.
    pub fn position(self, shape: &Shape) -> (f64, f64) {
        match shape {
            Shape::Ellipse(ellipse) => self.on_ellipse(ellipse),
            Shape::Rectangle(b) => match self {
                Self::Corner(right, bottom) => (if right { b.x2 } else { b.x1 }, if bottom { b.y2 } else { b.y1 }),
                _ => (f64::midpoint(b.x1, b.x2), f64::midpoint(b.y1, b.y2)),
            },
        }
    }

    fn on_ellipse(self, e: &Ellipse) -> (f64, f64) {
        let (sin, cos) = e.theta.sin_cos();
        let sign = |positive: bool| if positive { 1.0 } else { -1.0 };
        match self {
            Self::Long(side) => (e.cx + sign(side) * e.ra * cos, e.cy + sign(side) * e.ra * sin),
            Self::Short(side) => (e.cx - sign(side) * e.rb * sin, e.cy + sign(side) * e.rb * cos),
            Self::Center | Self::Corner(..) => (e.cx, e.cy),
        }
    }

    /// Returns the shape after dragging the handle to `(x, y)`. An ellipse's centre, and a rectangle's opposite sides, stay fixed unless
    /// they are dragged themselves.
    pub fn drag(self, shape: &Shape, x: f64, y: f64) -> Shape {
        match shape {
            Shape::Ellipse(ellipse) => Shape::Ellipse(self.drag_ellipse(ellipse, x, y)),
            Shape::Rectangle(b) => Shape::Rectangle(self.drag_rectangle(b, x, y)),
        }
    }

    fn drag_rectangle(self, b: &BoundingBox, x: f64, y: f64) -> BoundingBox {
        let Self::Corner(right, bottom) = self else {
            let (dx, dy) = (x - f64::midpoint(b.x1, b.x2), y - f64::midpoint(b.y1, b.y2));
            return BoundingBox::new(b.x1 + dx, b.y1 + dy, b.x2 + dx, b.y2 + dy);
        };
        let (width, height) = ((2.0 * SMALLEST).min(b.width()), (2.0 * SMALLEST).min(b.height()));
        let (mut x1, mut y1, mut x2, mut y2) = (b.x1, b.y1, b.x2, b.y2);
        if right {
            x2 = x.max(x1 + width);
        } else {
            x1 = x.min(x2 - width);
        }
        if bottom {
            y2 = y.max(y1 + height);
        } else {
            y1 = y.min(y2 - height);
        }
        BoundingBox::new(x1, y1, x2, y2)
    }

    fn drag_ellipse(self, e: &Ellipse, x: f64, y: f64) -> Ellipse {
        let (dx, dy) = (x - e.cx, y - e.cy);
        match self {
            Self::Center | Self::Corner(..) => Ellipse::new(e.ra, e.rb, e.theta, x, y),
            Self::Long(side) => {
                let turn = if side { 0.0 } else { std::f64::consts::PI };
                let theta = normal_angle(dy.atan2(dx) + turn);
                Ellipse::new(dx.hypot(dy).max(SMALLEST), e.rb, theta, e.cx, e.cy)
            }
            Self::Short(_) => {
                let (sin, cos) = e.theta.sin_cos();
                let along = (dy * cos - dx * sin).abs();
                Ellipse::new(e.ra, along.max(SMALLEST), e.theta, e.cx, e.cy)
            }
        }
    }
}

/// The effect of one key press.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nudge {
    Move { dx: f64, dy: f64 },
    Widen(f64),
    Heighten(f64),
    Turn(f64),
}

/// Returns the shape after one key press. Steps grow with the object so that every size takes as many presses. A rectangle does not rotate.
pub fn nudge(shape: &Shape, by: Nudge) -> Shape {
    match shape {
        Shape::Ellipse(ellipse) => Shape::Ellipse(nudge_ellipse(ellipse, by)),
        Shape::Rectangle(b) => Shape::Rectangle(nudge_rectangle(b, by)),
    }
}

fn nudge_rectangle(b: &BoundingBox, by: Nudge) -> BoundingBox {
    let step = (b.width().max(b.height()) * 0.025).max(1.0);
    // Both sides move, as in an ellipse.
    let grown = |low: f64, high: f64, direction: f64| {
        let half = (high - low) / 2.0;
        let by = (half + direction * step).max(SMALLEST.min(half)) - half;
        (low - by, high + by)
    };
    let (mut x, mut y) = ((b.x1, b.x2), (b.y1, b.y2));
    match by {
        Nudge::Move { dx, dy } => {
            x = (b.x1 + dx * step, b.x2 + dx * step);
            y = (b.y1 + dy * step, b.y2 + dy * step);
        }
        Nudge::Widen(direction) => x = grown(b.x1, b.x2, direction),
        Nudge::Heighten(direction) => y = grown(b.y1, b.y2, direction),
        Nudge::Turn(_) => {}
    }
    BoundingBox::new(x.0, y.0, x.1, y.1)
}

fn nudge_ellipse(e: &Ellipse, nudge: Nudge) -> Ellipse {
    let step = (e.ra.max(e.rb) * 0.05).max(1.0);
    match nudge {
        Nudge::Move { dx, dy } => Ellipse::new(e.ra, e.rb, e.theta, e.cx + dx * step, e.cy + dy * step),
        Nudge::Turn(direction) => {
            let theta = normal_angle(e.theta + direction * 3.0_f64.to_radians());
            Ellipse::new(e.ra, e.rb, theta, e.cx, e.cy)
        }
        Nudge::Widen(direction) => stretched(e, direction * step, e.theta.cos().abs() > e.theta.sin().abs()),
        Nudge::Heighten(direction) => stretched(e, direction * step, e.theta.cos().abs() <= e.theta.sin().abs()),
    }
}

fn stretched(e: &Ellipse, by: f64, first_axis: bool) -> Ellipse {
    let (ra, rb) = if first_axis { (e.ra + by, e.rb) } else { (e.ra, e.rb + by) };
    Ellipse::new(ra.max(SMALLEST), rb.max(SMALLEST), e.theta, e.cx, e.cy)
}

/// Normalises an ellipse's angle to (-90, 90] degrees.
fn normal_angle(theta: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, PI};
    let mut angle = theta.rem_euclid(PI);
    if angle > FRAC_PI_2 {
        angle -= PI;
    }
    angle
}

/// Returns the initial shape: derived from the candidate's box, with the shape type of its class.
pub fn start(bbox: &BoundingBox, is_elliptic: bool) -> Shape {
    if is_elliptic { Shape::Ellipse(Ellipse::inscribed(bbox)) } else { Shape::Rectangle(*bbox) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn a_handle_dragged_to_where_it_is_changes_nothing() {
        let e = Ellipse::new(30.0, 20.0, 0.4, 100.0, 80.0);
        for handle in Handle::of(&Shape::Ellipse(e)) {
            let (x, y) = handle.position(&Shape::Ellipse(e));
            let same = handle.drag_ellipse(&e, x, y);
            assert!(close(same.ra, 30.0) && close(same.rb, 20.0) && close(same.theta, 0.4), "{handle:?} {same:?}");
        }
        let b = Shape::Rectangle(BoundingBox::new(10.0, 20.0, 40.0, 50.0));
        for handle in Handle::of(&b) {
            let (x, y) = handle.position(&b);
            assert_eq!(handle.drag(&b, x, y), b, "{handle:?}");
        }
    }

    #[test]
    fn a_rectangle_stays_one_and_its_other_sides_stay() {
        let b = |x1, y1, x2, y2| Shape::Rectangle(BoundingBox::new(x1, y1, x2, y2));
        let from = b(10.0, 20.0, 40.0, 50.0);
        for (handle, (x, y), expected) in [
            (Handle::Corner(true, true), (60.0, 45.0), b(10.0, 20.0, 60.0, 45.0)),
            (Handle::Corner(false, false), (0.0, 25.0), b(0.0, 25.0, 40.0, 50.0)),
            (Handle::Corner(true, false), (5.0, 60.0), b(10.0, 46.0, 14.0, 50.0)),
            (Handle::Center, (35.0, 35.0), b(20.0, 20.0, 50.0, 50.0)),
        ] {
            assert_eq!(handle.drag(&from, x, y), expected, "{handle:?}");
        }
        for (by, expected) in [
            (Nudge::Move { dx: 1.0, dy: -1.0 }, b(11.0, 19.0, 41.0, 49.0)),
            (Nudge::Widen(1.0), b(9.0, 20.0, 41.0, 50.0)),
            (Nudge::Heighten(-1.0), b(10.0, 21.0, 40.0, 49.0)),
            (Nudge::Turn(1.0), from),
        ] {
            assert_eq!(nudge(&from, by), expected, "{by:?}");
        }
        let small = b(0.0, 0.0, 3.0, 3.0);
        assert_eq!(nudge(&nudge(&small, Nudge::Widen(-1.0)), Nudge::Heighten(-1.0)), small, "no smaller than it is");
        let mut shape = from;
        for _ in 0..40 {
            shape = nudge(&nudge(&shape, Nudge::Widen(-1.0)), Nudge::Heighten(-1.0));
        }
        let left = shape.bounding_box();
        assert!(close(left.width(), 4.0) && close(left.height(), 4.0), "{left:?}");
        assert_eq!(start(&BoundingBox::new(0.0, 0.0, 9.0, 9.0), false), b(0.0, 0.0, 9.0, 9.0));
    }

    #[test]
    fn a_dragged_handle_ends_where_the_mouse_is() {
        let e = Ellipse::new(30.0, 20.0, 1.2, 100.0, 80.0);
        for handle in [Handle::Long(true), Handle::Long(false), Handle::Center] {
            let moved = handle.drag(&Shape::Ellipse(e), 131.0, 72.0);
            let at = [handle, Handle::Long(true), Handle::Long(false)].map(|h| h.position(&moved));
            assert!(at.iter().any(|(x, y)| close(*x, 131.0) && close(*y, 72.0)), "{handle:?} {moved:?}");
        }
    }

    #[test]
    fn wider_and_taller_mean_what_is_seen_whatever_the_axes() {
        for upright in
            [Ellipse::new(40.0, 25.0, std::f64::consts::FRAC_PI_2, 0.0, 0.0), Ellipse::new(25.0, 40.0, 0.0, 0.0, 0.0)]
        {
            let wider = nudge_ellipse(&upright, Nudge::Widen(1.0)).bounding_box();
            assert!(close(wider.width(), 54.0) && close(wider.height(), 80.0), "{wider:?}");
            let taller = nudge_ellipse(&upright, Nudge::Heighten(1.0)).bounding_box();
            assert!(close(taller.width(), 50.0) && close(taller.height(), 84.0), "{taller:?}");
        }
    }

    #[test]
    fn nothing_shrinks_to_nothing() {
        let mut e = Ellipse::new(5.0, 5.0, 0.0, 0.0, 0.0);
        for _ in 0..20 {
            e = nudge_ellipse(&nudge_ellipse(&e, Nudge::Widen(-1.0)), Nudge::Heighten(-1.0));
        }
        assert_eq!((e.ra, e.rb), (2.0, 2.0));
    }
}
