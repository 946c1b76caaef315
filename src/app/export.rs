//! What leaves the curves screen for a file, and the published curves that come in. Knows no widget.

use std::fmt::Write as _;
use std::path::Path;

use super::views::curves::{CurvesModel, ExportFormat, Published};
use crate::workflow::write_atomically;

/// Curves from the literature.
pub fn published() -> Vec<Published> {
    Vec::new()
}

/// Writes the shown curves to `path`.
pub fn write(model: &CurvesModel, format: ExportFormat, path: &Path) -> Result<(), String> {
    let bytes = match format {
        ExportFormat::Csv => csv(model).into_bytes(),
    };
    write_atomically(path, &bytes).map_err(|e| e.to_string())
}

/// One row a point, all numbers in full.
fn csv(model: &CurvesModel) -> String {
    let mut text = "round,output,threshold,false_positives,discrete_tpr,continuous_tpr\n".to_owned();
    for (key, curve) in model.shown() {
        let faces = curve.faces.max(1) as f64;
        for point in curve.points.iter().rev() {
            let (discrete, continuous) = (point.discrete / faces, point.continuous / faces);
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{},{},{},{},{discrete},{continuous}",
                key.round, key.label, point.threshold, point.false_positives
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::views::curves::CurveKey;
    use crate::evaluation::{RocCurve, RocPoint};

    #[test]
    fn the_table_has_a_row_a_point_from_few_false_positives_to_many() {
        let mut model = CurvesModel::default();
        let point = |threshold, false_positives, discrete| RocPoint {
            threshold,
            false_positives,
            discrete,
            continuous: discrete / 2.0,
        };
        let curve = RocCurve { faces: 4, points: vec![point(0.25, 9, 3.0), point(0.5, 0, 1.0)] };
        model.put(CurveKey { round: 2, label: "ellipse".to_owned() }, 100, curve);
        let text = csv(&model);
        assert_eq!(text.lines().nth(1), Some("2,ellipse,0.5,0,0.25,0.125"));
        assert_eq!(text.lines().nth(2), Some("2,ellipse,0.25,9,0.75,0.375"));
    }
}
