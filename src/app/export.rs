//! Exports from the Curves screen, and the published curves.

use super::command::ExportFormat;
use super::views::curves::{CurvesModel, Published};
use crate::domain::{Output, OutputError};
use crate::evaluation::figure::{Figure, FigureCurve, FigureError, FigureMarkers};
use crate::evaluation::published::published_methods;
use crate::evaluation::{PlotCurve, RocCurve, ScoreKind, curves_csv, others_csv};
use crate::workflow::outputs::{self, OutputPolicy};
use crate::workflow::roc_import::ImportedRoc;

/// Returns the built-in curves from the literature.
pub fn published() -> Vec<Published> {
    published_methods()
        .into_iter()
        .enumerate()
        .map(|(number, method)| Published {
            discrete: method.curve(ScoreKind::Discrete),
            continuous: method.curve(ScoreKind::Continuous),
            name: method.label(),
            notes: method.notes,
            shown: false,
            imported: false,
            number,
        })
        .collect()
}

/// Converts a curve imported by the user.
pub fn imported(roc: ImportedRoc) -> Published {
    Published {
        discrete: roc.discrete,
        continuous: roc.continuous,
        name: roc.name,
        notes: roc.notes,
        shown: true,
        imported: true,
        number: 0,
    }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Figure(#[from] FigureError),
    #[error(
        "Nothing to write: none of the project's own curves is shown, and published curves lack the counts of FDDB's format"
    )]
    NoOwnCurve,
}

/// Writes the shown curves to a file, or to a folder in FDDB's format, if `policy` allows it.
pub fn write(
    model: &CurvesModel,
    format: ExportFormat,
    out: &Output,
    policy: &OutputPolicy,
) -> Result<(), ExportError> {
    if format == ExportFormat::Official {
        return official(model, out, policy);
    }
    policy.check_file(out)?;
    let bytes = match format {
        ExportFormat::Svg => figure(model).svg()?.into_bytes(),
        ExportFormat::Png => figure(model).png()?,
        ExportFormat::Csv | ExportFormat::Official => csv(model).into_bytes(),
    };
    Ok(outputs::write(out, &bytes)?)
}

/// Writes both official files of each shown curve to the folder `out`.
fn official(model: &CurvesModel, out: &Output, policy: &OutputPolicy) -> Result<(), ExportError> {
    let contents = model.shown().flat_map(|(key, curve)| {
        let stem = key.text().to_lowercase().replace(", ", "-").replace(' ', "");
        // A label of another person's project must not become a path.
        let stem: String =
            stem.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
        [("Disc", curve.disc_text()), ("Cont", curve.cont_text())]
            .map(|(score, text)| (format!("{stem}-{score}ROC.txt"), text.into_bytes()))
    });
    let contents: Vec<(String, Vec<u8>)> = contents.collect();
    if contents.is_empty() {
        return Err(ExportError::NoOwnCurve);
    }
    policy.check_folder(out, contents.iter().map(|(name, _)| name.as_str()))?;
    Ok(outputs::write_folder(out, &contents)?)
}

/// Formats the project's own curves with their thresholds, then third-party ones.
fn csv(model: &CurvesModel) -> String {
    let named: Vec<(String, &RocCurve)> =
        model.shown().map(|(key, curve)| (key.text() + &curve.mark(), curve)).collect();
    let others = model.published.iter().filter(|p| p.shown);
    let others = others.map(|p| (p.name.as_str(), &p.discrete, &p.continuous));
    curves_csv(named.iter().map(|(name, curve)| (name.as_str(), *curve))) + &others_csv(others)
}

/// Draws the screen's curves as a figure with the same colours, dashes and names.
fn figure(model: &CurvesModel) -> Figure {
    let curves = model.shown().map(|(key, curve)| FigureCurve {
        label: key.text() + &curve.mark(),
        short: key.short(),
        style: key.style(),
        behind: false,
        discrete: PlotCurve::of(curve, ScoreKind::Discrete),
        continuous: PlotCurve::of(curve, ScoreKind::Continuous),
    });
    let (imported, published): (Vec<&Published>, Vec<&Published>) =
        model.published.iter().filter(|p| p.shown).partition(|p| p.imported);
    let imported = imported.into_iter().map(|p| FigureCurve {
        label: p.name.clone(),
        short: p.short(),
        style: p.style(),
        behind: true,
        discrete: p.discrete.clone(),
        continuous: p.continuous.clone(),
    });
    let markers = published.into_iter().map(|p| FigureMarkers {
        label: p.name.clone(),
        discrete: p.discrete.clone(),
        continuous: p.continuous.clone(),
    });
    Figure {
        curves: curves.chain(imported).collect(),
        published: markers.collect(),
        logarithmic: model.log_x,
        x_end: model.x_end() as f64,
        from_zero: model.from_zero,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::command::CurveKey;
    use crate::evaluation::{CurvePoint, RocPoint};

    fn write(model: &CurvesModel, format: ExportFormat, out: impl Into<Output>) -> Result<(), ExportError> {
        super::write(model, format, &out.into(), &OutputPolicy::new())
    }

    fn model() -> CurvesModel {
        let mut model = CurvesModel::default();
        model.published = published();
        let point = |threshold, false_positives, discrete| RocPoint {
            threshold,
            false_positives,
            discrete,
            continuous: discrete / 2.0,
        };
        for (round, label) in [(1, "rectangle"), (2, "rectangle"), (2, "ellipse")] {
            let curve = RocCurve { faces: 4, points: vec![point(0.25, 9, 3.0), point(0.5, 0, 1.0)], unreadable: 0 };
            model.put(CurveKey::new(round, label), 100, curve);
        }
        model
    }

    #[test]
    fn every_shown_curve_is_in_the_table_and_in_the_figure() {
        let mut model = model();
        model.toggle(&CurveKey::new(1, "rectangle"));
        model.published[0].shown = true;
        let (csv, svg) = (csv(&model), figure(&model).svg().unwrap());
        assert_eq!(csv.lines().count(), 1 + 2 * 2 + 2 * 4, "{csv}");
        for (key, _) in model.shown() {
            assert!(csv.contains(&key.text()) && svg.contains(&key.text()), "{key:?}");
        }
        assert!(!svg.contains("Round 1"));
        let name = model.published[0].name.split(&['(', ','][..]).next().unwrap().trim().to_owned();
        assert!(svg.contains(&name), "{name}");
    }

    #[test]
    fn only_others_can_be_exported_but_not_as_counts() {
        let mut model = CurvesModel::default();
        model.published = published();
        model.published[0].shown = true;
        let dir = tempfile::tempdir().unwrap();
        let message = write(&model, ExportFormat::Official, dir.path()).unwrap_err().to_string();
        assert!(message.contains("none of the project's own curves"), "{message}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let csv = csv(&model);
        assert_eq!(csv.lines().count(), 1 + 2 * 4, "{csv}");
        assert!(csv.lines().nth(1).unwrap().ends_with(",,100,0.9361,"), "{csv}");
        assert!(figure(&model).svg().unwrap().contains("a  Faster R-CNN"));
    }

    /// Folds and curves that end together are labelled at their ends, in the figure as on the screen.
    #[test]
    fn every_line_of_the_figure_is_named_at_its_end() {
        let mut model = model();
        let fold = CurveKey::new(2, "ellipse").of_fold(9);
        model.put(fold.clone(), 100, RocCurve { faces: 4, points: Vec::new(), unreadable: 0 });
        model.put(fold.clone(), 200, model.newest(&CurveKey::new(1, "rectangle")).unwrap().1.clone());
        model.toggle(&fold);
        let svg = figure(&model).svg().unwrap();
        let texts: Vec<&str> = svg.lines().map(str::trim).collect();
        for name in ["R1", "R2", "R2e", "R2e f9"] {
            // In both panels.
            assert_eq!(texts.iter().filter(|text| **text == name).count(), 2, "{name}");
        }
    }

    #[test]
    fn official_files_hold_what_the_evaluation_writes() {
        let dir = tempfile::tempdir().unwrap();
        write(&model(), ExportFormat::Official, dir.path()).unwrap();
        let text = std::fs::read_to_string(dir.path().join("round2-ellipse-DiscROC.txt")).unwrap();
        let model = model();
        let (_, curve) = model.shown().find(|(key, _)| key.round == 2 && key.label == "ellipse").unwrap();
        assert_eq!(text, curve.disc_text());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 6);
        let again = write(&model, ExportFormat::Official, dir.path()).unwrap_err();
        assert!(matches!(again, ExportError::Output(OutputError::Exists(_))), "{again}");
        write(&model, ExportFormat::Official, Output::new(dir.path(), true)).unwrap();
    }

    #[test]
    fn an_imported_curve_is_a_line_of_the_figure() {
        let mut model = model();
        let point = |(false_positives, rate)| CurvePoint { false_positives, rate, threshold: None };
        let curve = PlotCurve::new([(0.0, 0.2), (9.0, 0.6)].map(point).to_vec());
        let roc = ImportedRoc {
            name: "Theirs".to_owned(),
            notes: String::new(),
            source: String::new(),
            discrete: curve.clone(),
            continuous: curve,
        };
        model.put_imported(imported(roc.clone()));
        model.put_imported(imported(roc));
        assert_eq!(model.published.iter().filter(|p| p.imported).count(), 1);
        assert!(figure(&model).svg().unwrap().contains("Theirs"));
        model.clear();
        assert!(!model.published.is_empty() && model.published.iter().all(|p| !p.imported));
    }

    #[test]
    fn each_format_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for format in ExportFormat::ALL {
            if format == ExportFormat::Official {
                continue;
            }
            let path = dir.path().join(format.extension());
            write(&model(), format, &path).unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() > 100, "{format:?}");
        }
    }
}
