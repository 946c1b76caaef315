//! A series of bounded length for runs of days: when it is full, neighbouring points are averaged.

/// Maximum number of points per line.
const POINTS_MAX: usize = 1024;

/// Points `[step, value]`, each the mean of `stride` values.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    points: Vec<[f64; 2]>,
    stride: usize,
    sum: [f64; 2],
    count: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self { points: Vec::new(), stride: 1, sum: [0.0; 2], count: 0 }
    }
}

impl Series {
    pub fn push(&mut self, step: f64, value: f64) {
        if !value.is_finite() {
            return;
        }
        self.sum[0] += step;
        self.sum[1] += value;
        self.count += 1;
        if self.count < self.stride {
            return;
        }
        let count = self.count as f64;
        self.points.push([self.sum[0] / count, self.sum[1] / count]);
        (self.sum, self.count) = ([0.0; 2], 0);
        if self.points.len() >= POINTS_MAX {
            self.halve();
        }
    }

    fn halve(&mut self) {
        let mean = |pair: &[[f64; 2]]| [f64::midpoint(pair[0][0], pair[1][0]), f64::midpoint(pair[0][1], pair[1][1])];
        self.points = self.points.chunks_exact(2).map(mean).collect();
        self.stride *= 2;
    }

    /// Drops the points after a step, which is repeated.
    pub fn cut_after(&mut self, step: f64) {
        self.points.retain(|point| point[0] <= step);
        (self.sum, self.count) = ([0.0; 2], 0);
    }

    pub fn points(&self) -> &[[f64; 2]] {
        &self.points
    }

    /// Returns a moving mean over `window` points, which shows the trend under the noise.
    pub fn smooth(&self, window: usize) -> Vec<[f64; 2]> {
        let mut sum = 0.0;
        let mut smooth = Vec::with_capacity(self.points.len());
        for (index, point) in self.points.iter().enumerate() {
            sum += point[1];
            if window <= index {
                sum -= self.points[index - window][1];
            }
            smooth.push([point[0], sum / (index + 1).min(window) as f64]);
        }
        smooth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_stays_short_and_keeps_its_shape() {
        let mut series = Series::default();
        for step in 0..100_000 {
            series.push(f64::from(step), f64::from(step) * 2.0);
        }
        assert!(series.points().len() < POINTS_MAX && series.points().len() > POINTS_MAX / 4);
        for [step, value] in series.points() {
            assert!((value - step * 2.0).abs() < 1e-6, "{step} {value}");
        }
        let last = series.points().last().unwrap()[0];
        assert!(last > 99_000.0, "{last}");
    }

    #[test]
    fn what_is_not_a_number_is_left_out_and_smoothing_averages() {
        let mut series = Series::default();
        for (step, value) in [4.0, f64::NAN, 2.0, 6.0, f64::INFINITY].into_iter().enumerate() {
            series.push(step as f64, value);
        }
        assert_eq!(series.points(), [[0.0, 4.0], [2.0, 2.0], [3.0, 6.0]]);
        assert_eq!(series.smooth(2), [[0.0, 4.0], [2.0, 3.0], [3.0, 4.0]]);
    }
}
