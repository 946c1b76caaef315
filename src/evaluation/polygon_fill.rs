//! Polygon -> row spans, like OpenCV's `FillConvexPoly` with its outline (`fddb_spec.md`, section 4.2, "Painting the polygon").

use super::raster::{ONE, Span};

const HALF: i64 = ONE / 2;

/// Rounds fixed point to the nearest pixel, halves up.
fn pixel(v: i64) -> i64 {
    (v + HALF) >> 16
}

/// Returns the pixels of the closed polygon `v` (fixed point) inside `width` x `height`: scan fill and outline.
pub(super) fn fill(v: &[(i64, i64)], width: i64, height: i64) -> Vec<Span> {
    let mut rows = Rows::new(v, width, height);
    scan(v, &mut rows);
    let mut from = v[v.len() - 1];
    for &to in v {
        outline(from, to, &mut rows);
        from = to;
    }
    rows.into_spans()
}

/// One growing span per row, and separate spans that do not touch it.
struct Rows {
    width: i64,
    height: i64,
    first: i64,
    /// `(x0, x1)`, empty while `x1 < x0`.
    spans: Vec<(i64, i64)>,
    loose: Vec<Span>,
}

impl Rows {
    fn new(v: &[(i64, i64)], width: i64, height: i64) -> Self {
        let top = v.iter().map(|p| pixel(p.1)).min().unwrap_or(0);
        let bottom = v.iter().map(|p| pixel(p.1)).max().unwrap_or(-1);
        // Rounding may put the outline one row beyond the vertices.
        let first = (top - 1).clamp(0, height);
        let end = (bottom + 2).clamp(first, height);
        Self { width, height, first, spans: vec![(0, -1); (end - first) as usize], loose: Vec::new() }
    }

    /// Adds pixels `x0..=x1` of row `y`, clipped to the image.
    fn add(&mut self, y: i64, x0: i64, x1: i64) {
        let (x0, x1) = (x0.max(0), x1.min(self.width - 1));
        if x1 < x0 || y < self.first || self.height <= y {
            return;
        }
        let Some(span) = self.spans.get_mut((y - self.first) as usize) else {
            return self.loose.push(Span { y: y as i32, x0: x0 as i32, x1: x1 as i32 });
        };
        if span.1 < span.0 {
            *span = (x0, x1);
        } else if x0 <= span.1 + 1 && span.0 <= x1 + 1 {
            *span = (span.0.min(x0), span.1.max(x1));
        } else {
            self.loose.push(Span { y: y as i32, x0: x0 as i32, x1: x1 as i32 });
        }
    }

    fn into_spans(self) -> Vec<Span> {
        let first = self.first;
        let whole = self.spans.iter().enumerate().filter(|(_, s)| s.0 <= s.1);
        let mut spans: Vec<Span> =
            whole.map(|(k, s)| Span { y: (first + k as i64) as i32, x0: s.0 as i32, x1: s.1 as i32 }).collect();
        if self.loose.is_empty() {
            return spans;
        }
        spans.extend(self.loose);
        spans.sort_unstable_by_key(|s| (s.y, s.x0));
        spans.dedup_by(|next, kept| {
            let joined = next.y == kept.y && next.x0 <= kept.x1 + 1;
            if joined {
                kept.x1 = kept.x1.max(next.x1);
            }
            joined
        });
        spans
    }
}

/// One side of the scan: walks the vertices from the topmost one in its direction.
struct Walker {
    at: usize,
    step: usize,
    /// The row where the current edge ends.
    end: i64,
    x: i64,
    dx: i64,
}

impl Walker {
    /// Moves to the next edge that reaches below `y`; false when no vertices are left.
    fn advance(&mut self, v: &[(i64, i64)], y: i64, budget: &mut i64) {
        let n = v.len();
        let (mut i0, mut i1) = (self.at, (self.at + self.step) % n);
        loop {
            *budget -= 1;
            if *budget < 0 {
                return;
            }
            let ty = pixel(v[i1].1);
            if y < ty {
                self.end = ty;
                self.dx = ((v[i1].0 - v[i0].0) * 2 + (ty - y)) / (2 * (ty - y));
                self.x = v[i0].0;
                self.at = i1;
                return;
            }
            i0 = i1;
            i1 = (i1 + self.step) % n;
        }
    }
}

fn scan(v: &[(i64, i64)], rows: &mut Rows) {
    let bounds = |get: fn(&(i64, i64)) -> i64| {
        let (low, high) = v.iter().map(get).fold((i64::MAX, i64::MIN), |(l, h), c| (l.min(c), h.max(c)));
        (pixel(low), pixel(high))
    };
    let (xmin, xmax) = bounds(|p| p.0);
    let (ymin, ymax) = bounds(|p| p.1);
    if v.len() < 3 || xmax < 0 || ymax < 0 || rows.width <= xmin || rows.height <= ymin {
        return;
    }
    let ymax = ymax.min(rows.height - 1);
    let top = (0..v.len()).min_by_key(|&i| v[i].1).unwrap_or(0);
    let walker = |step| Walker { at: top, step, end: ymin, x: -ONE, dx: 0 };
    let mut walkers = [walker(1), walker(v.len() - 1)];
    let mut budget = v.len() as i64;

    let mut y = ymin;
    while y <= ymax {
        for w in &mut walkers {
            if w.end <= y {
                w.advance(v, y, &mut budget);
            }
        }
        if budget < 0 {
            return;
        }
        if y >= 0 {
            let (left, right) = (walkers[0].x.min(walkers[1].x), walkers[0].x.max(walkers[1].x));
            rows.add(y, pixel(left), pixel(right));
        }
        // Skip rows above the image.
        let rows_on = (walkers[0].end.min(walkers[1].end).min(0) - y).max(1);
        for w in &mut walkers {
            w.x = w.x.wrapping_add(w.dx.wrapping_mul(rows_on));
        }
        y += rows_on;
    }
}

/// Draws a line between two fixed-point positions, like OpenCV's `Line2`.
fn outline(from: (i64, i64), to: (i64, i64), rows: &mut Rows) {
    let Some(((mut x1, mut y1), (mut x2, mut y2))) = clip(from, to, rows.width, rows.height) else {
        return;
    };
    let (dx, dy) = (x2 - x1, y2 - y1);
    if dy.abs() < dx.abs() {
        if dx < 0 {
            (x1, y1, x2, y2) = (x2, y2, x1, y1);
        }
        let step = ((y2 - y1) * ONE) / (dx.abs() | 1);
        rows.add(pixel(y2), pixel(x2), pixel(x2));
        for k in 0..=((x2 - x1) >> 16) {
            let x = pixel(x1) + k;
            rows.add((y1 + HALF + k * step) >> 16, x, x);
        }
    } else {
        if dy < 0 {
            (x1, y1, x2, y2) = (x2, y2, x1, y1);
        }
        let step = ((x2 - x1) * ONE) / (dy.abs() | 1);
        rows.add(pixel(y2), pixel(x2), pixel(x2));
        for k in 0..=((y2 - y1) >> 16) {
            let x = (x1 + HALF + k * step) >> 16;
            rows.add(pixel(y1) + k, x, x);
        }
    }
}

const LEFT: u8 = 1;
const ABOVE: u8 = 4;
const BELOW: u8 = 8;

type Line = ((i64, i64), (i64, i64));

/// OpenCV's `clipLine` to `0..width*65536-1`, `0..height*65536-1`; `None` if nothing is left.
fn clip(from: (i64, i64), to: (i64, i64), width: i64, height: i64) -> Option<Line> {
    let (right, bottom) = (width * ONE - 1, height * ONE - 1);
    let side = |x: i64| u8::from(x < 0) * LEFT + u8::from(right < x) * 2;
    let code = |(x, y): (i64, i64)| side(x) + u8::from(y < 0) * ABOVE + u8::from(bottom < y) * BELOW;
    let mut ends = [from, to];
    let mut codes = [code(from), code(to)];
    let crosses = |c: [u8; 2]| c[0] & c[1] == 0 && c[0] | c[1] != 0;
    // Products of 48-bit lengths: 128 bits keep huge ellipses exact.
    let along = |moved: i64, run: i64, rise: i64| (i128::from(moved) * i128::from(run) / i128::from(rise)) as i64;

    if crosses(codes) {
        for k in 0..2 {
            if codes[k] & (ABOVE | BELOW) != 0 {
                let y = if codes[k] < BELOW { 0 } else { bottom };
                let x_run = ends[1].0 - ends[0].0;
                let y_run = ends[1].1 - ends[0].1;
                ends[k].0 += along(y - ends[k].1, x_run, y_run);
                ends[k].1 = y;
                codes[k] = side(ends[k].0);
            }
        }
        if crosses(codes) {
            for k in 0..2 {
                if codes[k] != 0 {
                    let x = if codes[k] == LEFT { 0 } else { right };
                    let x_run = ends[1].0 - ends[0].0;
                    let y_run = ends[1].1 - ends[0].1;
                    ends[k].1 += along(x - ends[k].0, y_run, x_run);
                    ends[k].0 = x;
                    codes[k] = 0;
                }
            }
        }
    }
    (codes[0] | codes[1] == 0).then_some((ends[0], ends[1]))
}
