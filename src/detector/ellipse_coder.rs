//! Encodes ellipses as six numbers relative to a proposal box, and decodes them. Torch-free.

use crate::geometry::{BoundingBox, Ellipse, NetworkPx};

/// Length of a code: centre offset (2), logarithms of the semi-axes (2), sine and cosine of twice the angle.
pub(super) const CODES: usize = 6;

/// Scale of each number: as in the box head, with the angle scaled so that 10 degrees weigh about as much as a centre offset of a tenth.
const WEIGHTS: [f64; CODES] = [10.0, 10.0, 5.0, 5.0, 3.0, 3.0];

/// Maximum growth factor of an ellipse, so that no exponential overflows.
const MAX_GROWTH: f64 = 1000.0 / 16.0;

/// The code of an axis-aligned ellipse inscribed in its proposal: the initial output of a new head.
pub(super) const UPRIGHT: [f64; CODES] = [0.0, 0.0, 0.0, 0.0, 0.0, -WEIGHTS[5]];

/// Encodes the longer semi-axis relative to half the proposal's height and the shorter to half its width, as for upright faces. `None` if
/// ellipse or proposal is empty.
pub(super) fn encode(ellipse: &Ellipse<NetworkPx>, proposal: &BoundingBox<NetworkPx>) -> Option<[f64; CODES]> {
    let e = with_longer_ra(ellipse);
    let (width, height) = (proposal.width(), proposal.height());
    let (cx, cy) = proposal.center();
    let (sin, cos) = (2.0 * e.theta).sin_cos();
    let code =
        [(e.cx - cx) / width, (e.cy - cy) / height, (2.0 * e.ra / height).ln(), (2.0 * e.rb / width).ln(), sin, cos];
    code.iter().all(|v| v.is_finite()).then(|| std::array::from_fn(|k| code[k] * WEIGHTS[k]))
}

/// Decodes an ellipse with its angle in 0..pi.
pub(super) fn decode(code: [f64; CODES], proposal: &BoundingBox<NetworkPx>) -> Ellipse<NetworkPx> {
    let [dx, dy, da, db, sin, cos] = std::array::from_fn(|k| code[k] / WEIGHTS[k]);
    let (width, height) = (proposal.width(), proposal.height());
    let (cx, cy) = proposal.center();
    let grown = |log: f64| log.min(MAX_GROWTH.ln()).exp() / 2.0;
    let theta = (sin.atan2(cos) / 2.0).rem_euclid(std::f64::consts::PI);
    Ellipse::new(grown(da) * height, grown(db) * width, theta, cx + dx * width, cy + dy * height)
}

/// Returns the same ellipse with `ra` as its longer semi-axis, so that equal shapes have equal codes.
fn with_longer_ra(e: &Ellipse<NetworkPx>) -> Ellipse<NetworkPx> {
    if e.rb <= e.ra {
        return *e;
    }
    Ellipse::new(e.rb, e.ra, e.theta + std::f64::consts::FRAC_PI_2, e.cx, e.cy)
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    #[test]
    fn decoding_gives_the_same_outline_back() {
        let proposal = BoundingBox::new(10.0, 20.0, 50.0, 80.0);
        let check = |e: Ellipse<NetworkPx>| {
            let back = decode(encode(&e, &proposal).unwrap(), &proposal);
            let same = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{e:?} {back:?}");
            let (a, b) = (e.bounding_box(), back.bounding_box());
            same(a.x1, b.x1);
            same(a.y1, b.y1);
            same(a.x2, b.x2);
            same(e.area(), back.area());
            assert!((0.0..std::f64::consts::PI).contains(&back.theta) && back.rb <= back.ra);
        };
        check(Ellipse::new(30.0, 20.0, FRAC_PI_2, 30.0, 50.0));
        check(Ellipse::new(33.0, 18.0, 1.1, 28.0, 55.0));
        check(Ellipse::new(33.0, 18.0, -1.1, 28.0, 55.0));
        check(Ellipse::new(18.0, 33.0, 0.2, 28.0, 55.0));
    }

    #[test]
    fn a_new_head_starts_with_the_inscribed_upright_ellipse() {
        let proposal = BoundingBox::new(10.0, 20.0, 50.0, 80.0);
        let (start, inscribed) = (decode(UPRIGHT, &proposal), Ellipse::inscribed(&proposal));
        assert!((start.ra - inscribed.ra).abs() < 1e-9 && (start.theta - FRAC_PI_2).abs() < 1e-9, "{start:?}");
        let code = encode(&inscribed, &proposal).unwrap();
        assert!(code.iter().zip(UPRIGHT).all(|(a, b)| (a - b).abs() < 1e-9), "{code:?}");
    }

    #[test]
    fn shapes_without_area_have_no_code() {
        let proposal = BoundingBox::new(10.0, 20.0, 50.0, 80.0);
        assert_eq!(encode(&Ellipse::new(0.0, 0.0, 0.0, 30.0, 30.0), &proposal), None);
        assert_eq!(encode(&Ellipse::new(9.0, 5.0, 0.0, 3.0, 3.0), &BoundingBox::new(5.0, 5.0, 5.0, 9.0)), None);
    }
}
