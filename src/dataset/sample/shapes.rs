//! Shapes defined by their signed distance in pixels (negative inside), which gives smooth edges at any size.

/// `(x, y)` in pixels, y down.
pub(super) type Point = (f32, f32);

/// Left, top, right, bottom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds(pub f32, pub f32, pub f32, pub f32);

pub(super) trait Shape {
    /// Near the outline: distance in pixels, negative inside. Further away only the sign is exact.
    fn distance(&self, x: f32, y: f32) -> f32;
    /// Returns bounds that contain every inside point.
    fn bounds(&self) -> Bounds;
}

/// A coordinate frame: origin, size of one unit in pixels, clockwise rotation in radians. `u` is to the right, `v` down before the
/// rotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub x: f32,
    pub y: f32,
    pub unit: f32,
    pub turn: f32,
    sin: f32,
    cos: f32,
}

impl Frame {
    pub fn new(x: f32, y: f32, unit: f32, turn: f32) -> Self {
        let (sin, cos) = turn.sin_cos();
        Self { x, y, unit, turn, sin, cos }
    }

    pub fn px(&self, (u, v): Point) -> Point {
        (self.x + self.unit * (u * self.cos - v * self.sin), self.y + self.unit * (u * self.sin + v * self.cos))
    }

    pub fn local(&self, x: f32, y: f32) -> Point {
        let (dx, dy) = ((x - self.x) / self.unit, (y - self.y) / self.unit);
        (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin)
    }

    pub fn ellipse(&self, u: f32, v: f32, ru: f32, rv: f32) -> Oval {
        self.egg(u, v, ru, rv, 0.0)
    }

    /// An ellipse that is `taper` narrower at its lower end and as much wider at the top.
    pub fn egg(&self, u: f32, v: f32, ru: f32, rv: f32, taper: f32) -> Oval {
        let (x, y) = self.px((u, v));
        Oval { frame: Self { x, y, ..*self }, ru: ru * self.unit, rv: rv * self.unit, taper }
    }

    pub fn rect(&self, u: f32, v: f32, hu: f32, hv: f32, corner: f32) -> Rect {
        let (x, y) = self.px((u, v));
        let (hu, hv) = (hu * self.unit, hv * self.unit);
        Rect { frame: Self { x, y, ..*self }, hu, hv, corner: (corner * self.unit).min(hu).min(hv) }
    }

    /// A line through `points` whose half width changes from `start` to `end`.
    pub fn stroke(&self, points: &[Point], start: f32, end: f32) -> Stroke {
        let points = points.iter().map(|&p| self.px(p)).collect();
        Stroke { points, start: start * self.unit, end: end * self.unit }
    }

    /// A smooth curve from `a` to `c` that is pulled towards `b`.
    pub fn bow(&self, a: Point, b: Point, c: Point, start: f32, end: f32) -> Stroke {
        let at = |t: f32| {
            let (p, q, r) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            (p * a.0 + q * b.0 + r * c.0, p * a.1 + q * b.1 + r * c.1)
        };
        let points: Vec<Point> = (0..=8).map(|k| at(k as f32 / 8.0)).collect();
        self.stroke(&points, start, end)
    }

    pub fn polygon(&self, points: &[Point], corner: f32) -> Polygon {
        Polygon { points: points.iter().map(|&p| self.px(p)).collect(), corner: corner * self.unit }
    }

    /// Another frame inside this one.
    pub fn inner(&self, u: f32, v: f32, scale: f32, turn: f32) -> Self {
        let (x, y) = self.px((u, v));
        Self::new(x, y, self.unit * scale, self.turn + turn)
    }
}

/// An ellipse, or an egg.
#[derive(Debug, Clone, Copy)]
pub(super) struct Oval {
    frame: Frame,
    ru: f32,
    rv: f32,
    taper: f32,
}

impl Oval {
    /// Returns the exact bounds of an ellipse without taper.
    pub fn tight_bounds(&self) -> Bounds {
        let Frame { x, y, sin, cos, .. } = self.frame;
        let (w, h) = ((self.ru * cos).hypot(self.rv * sin), (self.ru * sin).hypot(self.rv * cos));
        Bounds(x - w, y - h, x + w, y + h)
    }
}

impl Shape for Oval {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (u, v) = self.frame.local(x, y);
        let (u, v) = (u * self.frame.unit, v * self.frame.unit);
        let u = u / (1.0 - self.taper * (v / self.rv).clamp(-1.0, 1.0));
        let (p, q) = (u / self.ru, v / self.rv);
        let k0 = length(p, q);
        let k1 = length(p / self.ru, q / self.rv);
        if k1 > 1e-6 { k0 * (k0 - 1.0) / k1 } else { -self.ru.min(self.rv) }
    }

    fn bounds(&self) -> Bounds {
        let r = self.ru.max(self.rv) * (1.0 + self.taper.abs());
        Bounds(self.frame.x - r, self.frame.y - r, self.frame.x + r, self.frame.y + r)
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Rect {
    frame: Frame,
    hu: f32,
    hv: f32,
    corner: f32,
}

impl Shape for Rect {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let (u, v) = self.frame.local(x, y);
        let p = (u * self.frame.unit).abs() - self.hu + self.corner;
        let q = (v * self.frame.unit).abs() - self.hv + self.corner;
        length(p.max(0.0), q.max(0.0)) + p.max(q).min(0.0) - self.corner
    }

    fn bounds(&self) -> Bounds {
        let (sin, cos) = (self.frame.sin.abs(), self.frame.cos.abs());
        let (w, h) = (self.hu * cos + self.hv * sin, self.hu * sin + self.hv * cos);
        Bounds(self.frame.x - w, self.frame.y - h, self.frame.x + w, self.frame.y + h)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Stroke {
    points: Vec<Point>,
    start: f32,
    end: f32,
}

impl Shape for Stroke {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let pieces = (self.points.len() - 1).max(1) as f32;
        let one = |(k, pair): (usize, &[Point])| {
            let (t, d) = segment(pair[0], pair[1], x, y);
            d - self.start - (self.end - self.start) * (k as f32 + t) / pieces
        };
        self.points.windows(2).enumerate().map(one).fold(f32::MAX, f32::min)
    }

    fn bounds(&self) -> Bounds {
        around(&self.points, self.start.max(self.end))
    }
}

#[derive(Debug, Clone)]
pub(super) struct Polygon {
    points: Vec<Point>,
    corner: f32,
}

impl Shape for Polygon {
    fn distance(&self, x: f32, y: f32) -> f32 {
        let mut nearest = f32::MAX;
        let mut inside = false;
        for (k, &a) in self.points.iter().enumerate() {
            let b = self.points[(k + 1) % self.points.len()];
            nearest = nearest.min(segment(a, b, x, y).1);
            if (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0 {
                inside = !inside;
            }
        }
        (if inside { -nearest } else { nearest }) - self.corner
    }

    fn bounds(&self) -> Bounds {
        around(&self.points, self.corner)
    }
}

/// The intersection of both.
#[derive(Debug, Clone)]
pub(super) struct Both<A, B>(pub A, pub B);

impl<A: Shape, B: Shape> Shape for Both<A, B> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.distance(x, y).max(self.1.distance(x, y))
    }

    fn bounds(&self) -> Bounds {
        let (a, b) = (self.0.bounds(), self.1.bounds());
        Bounds(a.0.max(b.0), a.1.max(b.1), a.2.min(b.2), a.3.min(b.3))
    }
}

/// The first without the second.
#[derive(Debug, Clone)]
pub(super) struct Without<A, B>(pub A, pub B);

impl<A: Shape, B: Shape> Shape for Without<A, B> {
    fn distance(&self, x: f32, y: f32) -> f32 {
        self.0.distance(x, y).max(-self.1.distance(x, y))
    }

    fn bounds(&self) -> Bounds {
        self.0.bounds()
    }
}

/// `hypot` without its handling of huge numbers, which takes most of the time here.
pub(super) fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Returns the position along the segment (0..=1) nearest to the point, and the distance to it.
fn segment(a: Point, b: Point, x: f32, y: f32) -> (f32, f32) {
    let (ex, ey) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (x - a.0, y - a.1);
    let square = ex * ex + ey * ey;
    let t = if square > 0.0 { ((px * ex + py * ey) / square).clamp(0.0, 1.0) } else { 0.0 };
    (t, length(px - t * ex, py - t * ey))
}

fn around(points: &[Point], margin: f32) -> Bounds {
    let start = Bounds(f32::MAX, f32::MAX, f32::MIN, f32::MIN);
    let all = points.iter().fold(start, |b, p| Bounds(b.0.min(p.0), b.1.min(p.1), b.2.max(p.0), b.3.max(p.1)));
    Bounds(all.0 - margin, all.1 - margin, all.2 + margin, all.3 + margin)
}
