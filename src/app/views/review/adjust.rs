//! Adjusting the ellipse of a missed face by keys and handles. Knows geometry only.

use crate::geometry::{BoundingBox, Ellipse};

/// Smallest half axis, in image pixels.
const SMALLEST: f64 = 2.0;

/// What a handle of the ellipse does when it is dragged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Handle {
    /// Moves the whole.
    Center,
    /// End of the half axis `ra`, either side; turns and stretches.
    Long(bool),
    /// End of the half axis `rb`, either side; stretches.
    Short(bool),
}

impl Handle {
    pub const ALL: [Self; 5] =
        [Self::Long(true), Self::Long(false), Self::Short(true), Self::Short(false), Self::Center];

    /// Where the handle sits, in image pixels.
    pub fn position(self, e: &Ellipse) -> (f64, f64) {
        let (sin, cos) = e.theta.sin_cos();
        let sign = |positive: bool| if positive { 1.0 } else { -1.0 };
        match self {
            Self::Center => (e.cx, e.cy),
            Self::Long(side) => (e.cx + sign(side) * e.ra * cos, e.cy + sign(side) * e.ra * sin),
            Self::Short(side) => (e.cx - sign(side) * e.rb * sin, e.cy + sign(side) * e.rb * cos),
        }
    }

    /// The ellipse after the handle was dragged to `(x, y)`. The centre stays unless it is dragged itself.
    pub fn drag(self, e: &Ellipse, x: f64, y: f64) -> Ellipse {
        let (dx, dy) = (x - e.cx, y - e.cy);
        match self {
            Self::Center => Ellipse::new(e.ra, e.rb, e.theta, x, y),
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

/// One press of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nudge {
    Move { dx: f64, dy: f64 },
    Widen(f64),
    Heighten(f64),
    Turn(f64),
}

/// The ellipse after one press. Steps grow with the face so that every size takes as many presses.
pub fn nudge(e: &Ellipse, nudge: Nudge) -> Ellipse {
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

/// The same ellipse's angle within (-90, 90] degrees.
fn normal_angle(theta: f64) -> f64 {
    use std::f64::consts::{FRAC_PI_2, PI};
    let mut angle = theta.rem_euclid(PI);
    if FRAC_PI_2 < angle {
        angle -= PI;
    }
    angle
}

/// Where the adjustment starts: the ellipse that fills the candidate's box.
pub fn start(bbox: &BoundingBox) -> Ellipse {
    Ellipse::inscribed(bbox)
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
        for handle in Handle::ALL {
            let (x, y) = handle.position(&e);
            let same = handle.drag(&e, x, y);
            assert!(close(same.ra, 30.0) && close(same.rb, 20.0) && close(same.theta, 0.4), "{handle:?} {same:?}");
        }
    }

    #[test]
    fn a_dragged_handle_ends_where_the_mouse_is() {
        let e = Ellipse::new(30.0, 20.0, 1.2, 100.0, 80.0);
        for handle in [Handle::Long(true), Handle::Long(false), Handle::Center] {
            let moved = handle.drag(&e, 131.0, 72.0);
            let at = [handle, Handle::Long(true), Handle::Long(false)].map(|h| h.position(&moved));
            assert!(at.iter().any(|(x, y)| close(*x, 131.0) && close(*y, 72.0)), "{handle:?} {moved:?}");
        }
    }

    #[test]
    fn wider_and_taller_mean_what_is_seen_whatever_the_axes() {
        for upright in
            [Ellipse::new(40.0, 25.0, std::f64::consts::FRAC_PI_2, 0.0, 0.0), Ellipse::new(25.0, 40.0, 0.0, 0.0, 0.0)]
        {
            let wider = nudge(&upright, Nudge::Widen(1.0)).bounding_box();
            assert!(close(wider.width(), 54.0) && close(wider.height(), 80.0), "{wider:?}");
            let taller = nudge(&upright, Nudge::Heighten(1.0)).bounding_box();
            assert!(close(taller.width(), 50.0) && close(taller.height(), 84.0), "{taller:?}");
        }
    }

    #[test]
    fn nothing_shrinks_to_nothing() {
        let mut e = Ellipse::new(5.0, 5.0, 0.0, 0.0, 0.0);
        for _ in 0..20 {
            e = nudge(&nudge(&e, Nudge::Widen(-1.0)), Nudge::Heighten(-1.0));
        }
        assert_eq!((e.ra, e.rb), (2.0, 2.0));
    }
}
