//! Curves as CSV text, one row per point, for spreadsheets and papers.

use super::plot_curve::PlotCurve;
use super::roc::RocCurve;
use crate::domain::csv_text;

/// Writes `curve,threshold,false_positives,discrete_tpr,continuous_tpr` with all digits of every number. The point without detections has
/// an empty threshold.
pub fn curves_csv<'a>(curves: impl IntoIterator<Item = (&'a str, &'a RocCurve)>) -> String {
    use std::fmt::Write as _;
    let mut out = String::from("curve,threshold,false_positives,discrete_tpr,continuous_tpr\n");
    for (label, curve) in curves {
        let label = csv_text(label);
        let faces = curve.faces.max(1) as f64;
        for p in &curve.points {
            let threshold = if p.threshold == f64::MAX { String::new() } else { p.threshold.to_string() };
            let (discrete, continuous) = (p.discrete / faces, p.continuous / faces);
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{label},{threshold},{},{discrete},{continuous}", p.false_positives);
        }
    }
    out
}

/// Rows that follow those of [`curves_csv`]: third-party curves as `(name, discrete, continuous)`. The two rates have separate points, so
/// each row leaves one rate empty.
pub fn others_csv<'a>(curves: impl IntoIterator<Item = (&'a str, &'a PlotCurve, &'a PlotCurve)>) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for (label, discrete, continuous) in curves {
        let label = csv_text(label);
        for (curve, before, after) in [(discrete, "", ","), (continuous, ",", "")] {
            for p in &curve.points {
                let threshold = p.threshold.map_or(String::new(), |t| t.to_string());
                // Writing to a string cannot fail.
                let _ = writeln!(out, "{label},{threshold},{},{before}{}{after}", p.false_positives, p.rate);
            }
        }
    }
    out
}
