//! The axes of a ROC plot, for the screen and for figures: false positive scale, visible rate range, tick marks.

use super::plot_curve::PlotCurve;

/// Position of zero false positives on a logarithmic axis.
const NONE_AT: f64 = 0.5;
/// Approximate maximum number of tick marks.
const MOST_MARKS: f64 = 10.0;

/// The false positive axis, from 0 to `end`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FalsePositiveAxis {
    pub logarithmic: bool,
    pub end: f64,
}

impl FalsePositiveAxis {
    /// Returns the position of a false positive count on the axis.
    pub fn place(&self, false_positives: f64) -> f64 {
        if self.logarithmic { false_positives.max(NONE_AT).log10() } else { false_positives }
    }

    /// Returns the positions of 0 and of the end.
    pub fn range(&self) -> (f64, f64) {
        (self.place(0.0), self.place(self.end.max(1.0)))
    }

    /// Returns the label at a position.
    pub fn text(&self, place: f64) -> String {
        let count = if self.logarithmic { 10f64.powf(place) } else { place };
        if count < 0.75 { "0".to_owned() } else { format!("{count:.0}") }
    }

    /// Returns the positions of the tick marks.
    pub fn marks(&self) -> Vec<f64> {
        let (low, high) = self.range();
        if self.logarithmic {
            return std::iter::once(low).chain((0..=high.floor() as i32).map(f64::from)).collect();
        }
        let step = nice_step(high / MOST_MARKS);
        (0..=(high / step) as u32).map(|k| f64::from(k) * step).collect()
    }

    /// Returns the visible part of a curve as positions and rates; a curve that continues beyond the axis is cut at its end.
    pub fn line(&self, curve: &PlotCurve) -> Vec<(f64, f64)> {
        let (_, end) = self.range();
        let mut line: Vec<(f64, f64)> = Vec::with_capacity(curve.points.len());
        for point in &curve.points {
            let at = (self.place(point.false_positives), point.rate);
            if at.0 <= end {
                line.push(at);
                continue;
            }
            if let Some(&(x, rate)) = line.last().filter(|last| last.0 < end) {
                line.push((end, rate + (at.1 - rate) * (end - x) / (at.0 - x)));
            }
            break;
        }
        line
    }

    /// Whether a line ends before the axis does. The curve has its last point there and is extended at that value.
    pub fn ends_early(&self, line: &[(f64, f64)]) -> bool {
        line.last().is_some_and(|last| last.0 < self.range().1)
    }
}

/// The true positive rate axis, from `low` to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateAxis {
    pub low: f64,
}

impl RateAxis {
    pub const FROM_ZERO: Self = Self { low: 0.0 };

    /// Starts at a round number at or below the lowest rate that any curve has at its fewest false positives.
    pub fn fitting<'a>(curves: impl Iterator<Item = &'a PlotCurve>) -> Self {
        Self::below(curves.filter_map(first_rate).fold(f64::INFINITY, f64::min))
    }

    /// Starts at a round number at or below `lowest`; at 0 without one.
    fn below(lowest: f64) -> Self {
        if !lowest.is_finite() {
            return Self::FROM_ZERO;
        }
        let step = if lowest >= 0.9 { 0.02 } else { 0.1 };
        // Keep values that are on a step except for rounding.
        Self { low: ((lowest / step + 1e-9).floor() * step).clamp(0.0, 0.98) }
    }

    /// Returns the line from where it first enters the axis range; later parts below the range are clamped to its lower end.
    pub fn line(&self, line: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let Some(begin) = line.iter().position(|at| self.low <= at.1) else { return Vec::new() };
        let mut seen = Vec::with_capacity(line.len());
        if let Some((&(ax, a), &(bx, b))) = begin.checked_sub(1).and_then(|k| line.get(k)).zip(line.get(begin)) {
            seen.push((ax + (bx - ax) * (self.low - a) / (b - a), self.low));
        }
        seen.extend(line[begin..].iter().map(|&(x, rate)| (x, rate.max(self.low))));
        seen
    }

    /// Slightly above 1, so that a line at rate 1 and its marker are fully visible.
    pub fn top(&self) -> f64 {
        1.0 + 0.02 * (1.0 - self.low)
    }

    pub fn marks(&self) -> Vec<f64> {
        let step = nice_step((1.0 - self.low) / MOST_MARKS);
        let first = (self.low / step - 1e-9).ceil();
        let last = (1.0 / step + 1e-9).floor();
        (0..=(last - first).max(0.0) as u32).map(|k| (first + f64::from(k)) * step).collect()
    }

    /// More than one decimal only if the tick marks need it.
    pub fn text(&self, rate: f64) -> String {
        if nice_step((1.0 - self.low) / MOST_MARKS) < 0.0999 { format!("{rate:.2}") } else { format!("{rate:.1}") }
    }
}

/// The rate at the last point with the curve's fewest false positives.
fn first_rate(curve: &PlotCurve) -> Option<f64> {
    let mut found = curve.points.iter().skip_while(|p| p.rate <= 0.0).peekable();
    let first = found.peek()?.false_positives;
    found.take_while(|p| p.false_positives == first).last().map(|p| p.rate)
}

/// Returns label positions near `places` (ascending), each at least `height` below the previous one. Labels that would overlap are spread
/// evenly around the mean of their positions.
pub fn spread_apart(places: &[f64], height: f64) -> Vec<f64> {
    // Clusters of touching labels: the sum of their first positions and their number.
    let mut groups: Vec<(f64, usize)> = Vec::new();
    let first = |(sum, count): (f64, usize)| sum / count as f64 - (count - 1) as f64 / 2.0 * height;
    for &place in places {
        let mut group = (place, 1);
        while let Some(above) = groups.pop_if(|above| first(group) < first(*above) + above.1 as f64 * height) {
            group = (above.0 + group.0, above.1 + group.1);
        }
        groups.push(group);
    }
    groups.into_iter().flat_map(|group| (0..group.1).map(move |k| first(group) + k as f64 * height)).collect()
}

/// 1, 2 or 5 times a power of ten, at least `step`.
fn nice_step(step: f64) -> f64 {
    let power = 10f64.powf((step * 0.999_999).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|nice| step <= nice * 1.000_001).unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::CurvePoint;

    fn curve(points: &[(f64, f64)]) -> PlotCurve {
        let point = |&(false_positives, rate): &(f64, f64)| CurvePoint { false_positives, rate, threshold: None };
        PlotCurve { points: points.iter().map(point).collect() }
    }

    #[test]
    fn a_logarithmic_axis_has_room_for_none() {
        let log = FalsePositiveAxis { logarithmic: true, end: 2000.0 };
        let texts: Vec<String> = log.marks().into_iter().map(|mark| log.text(mark)).collect();
        assert_eq!(texts, ["0", "1", "10", "100", "1000"]);
        let linear = FalsePositiveAxis { logarithmic: false, end: 2000.0 };
        assert_eq!(linear.marks(), (0..=10).map(|k| f64::from(k) * 200.0).collect::<Vec<_>>());
        assert_eq!(linear.text(250.0), "250");
    }

    #[test]
    fn a_line_is_cut_at_the_end_and_no_sooner() {
        let axis = FalsePositiveAxis { logarithmic: false, end: 100.0 };
        let long = axis.line(&curve(&[(0.0, 0.5), (90.0, 0.6), (190.0, 0.7), (300.0, 0.9)]));
        let last = long[2];
        assert!(long.len() == 3 && last.0 == 100.0 && (last.1 - 0.61).abs() < 1e-12, "{long:?}");
        assert!(!axis.ends_early(&long));
        let short = axis.line(&curve(&[(0.0, 0.5), (90.0, 0.6)]));
        assert!(axis.ends_early(&short) && short.len() == 2);
        assert!(axis.line(&curve(&[(500.0, 0.9)])).is_empty());
    }

    #[test]
    fn rates_begin_below_the_lowest_curve() {
        let low = |rates: &[f64]| {
            let curves: Vec<PlotCurve> = rates.iter().map(|r| curve(&[(0.0, 0.01), (0.0, *r), (9.0, 1.0)])).collect();
            RateAxis::fitting(curves.iter()).low
        };
        for (rates, expected) in
            [(&[0.87, 0.63][..], 0.6), (&[0.97, 0.931], 0.92), (&[0.05], 0.0), (&[], 0.0), (&[0.7], 0.7)]
        {
            assert!((low(rates) - expected).abs() < 1e-9, "{rates:?}: {}", low(rates));
        }
        // A point without any detection is ignored.
        let none = curve(&[(0.0, 0.0), (12.0, 0.77), (90.0, 0.9)]);
        assert!((RateAxis::fitting(std::iter::once(&none)).low - 0.7).abs() < 1e-9);
        let axis = RateAxis { low: 0.6 };
        let texts: Vec<String> = axis.marks().into_iter().map(|mark| axis.text(mark)).collect();
        assert_eq!(texts, ["0.60", "0.65", "0.70", "0.75", "0.80", "0.85", "0.90", "0.95", "1.00"]);
        assert_eq!(RateAxis::FROM_ZERO.marks().len(), 11);
        assert_eq!(RateAxis::FROM_ZERO.text(0.1), "0.1");
    }

    #[test]
    fn a_line_comes_up_where_it_crosses_the_foot() {
        let axis = RateAxis { low: 0.5 };
        assert_eq!(
            axis.line(&[(0.0, 0.0), (0.0, 0.25), (2.0, 0.75), (3.0, 0.25)]),
            [(1.0, 0.5), (2.0, 0.75), (3.0, 0.5)]
        );
        assert_eq!(axis.line(&[(0.0, 0.5), (1.0, 0.6)]), [(0.0, 0.5), (1.0, 0.6)]);
        assert!(axis.line(&[(0.0, 0.1)]).is_empty());
    }

    #[test]
    fn names_that_would_cover_each_other_stand_around_their_middle() {
        assert_eq!(spread_apart(&[10.0, 80.0], 5.0), [10.0, 80.0]);
        assert_eq!(spread_apart(&[10.0, 10.0, 10.0, 80.0], 5.0), [5.0, 10.0, 15.0, 80.0]);
        // The second cluster runs into the first.
        assert_eq!(spread_apart(&[10.0, 14.0, 15.0], 4.0), [9.0, 13.0, 17.0]);
        assert!(spread_apart(&[], 5.0).is_empty());
    }
}
