//! Writes an evaluation's files: all are written to temporary files first, then renamed.

use std::path::PathBuf;

use super::{EvaluateError, EvaluationReport, FddbEvaluation, SizeSource};
use crate::evaluation::figure::{Figure, FigureCurve, FigureFormat, FigureMarkers};
use crate::evaluation::palette::curve_style;
use crate::evaluation::published::published_methods;
use crate::evaluation::{FoldCurves, PlotCurve, RocCurve, ScoreKind, curves_csv};
use crate::workflow::outputs::{self, OutputPolicy};

/// Maximum false positives in figures, as on FDDB's results page.
const FIGURE_X_END: f64 = 2000.0;

const TABLES: [&str; 4] = ["DiscROC.txt", "ContROC.txt", "curves.csv", "summary.json"];

/// Refuses the results folder if a result would replace an input or, without permission, any other file.
pub(super) fn check(config: &FddbEvaluation) -> Result<(), EvaluateError> {
    let inputs = [&config.annotations, &config.detections, &config.lists];
    let policy = OutputPolicy::new().inputs(inputs.into_iter().flatten());
    let policy = match &config.sizes {
        SizeSource::Images(root) => policy.images(root),
        SizeSource::Table(table) => policy.input(table),
    };
    let policy = inputs.into_iter().flatten().fold(policy, |policy, input| policy.project_around(input));
    let figures: Vec<String> = config.figures.iter().map(|format| format!("roc.{}", format.extension())).collect();
    let names = TABLES.into_iter().chain(figures.iter().map(String::as_str));
    Ok(policy.check_folder(&config.out, names)?)
}

/// Writes everything that `config` requests and returns the paths.
pub(super) fn write_all(config: &FddbEvaluation, report: &EvaluationReport) -> Result<Vec<PathBuf>, EvaluateError> {
    let curves = &report.curves;
    let (texts, csv) = rayon::join(
        || rayon::join(|| curves.pooled.disc_text(), || curves.pooled.cont_text()),
        || curves_csv(labelled(curves).iter().map(|(label, curve)| (label.as_str(), *curve))),
    );
    let mut contents: Vec<(String, Vec<u8>)> = vec![
        ("DiscROC.txt".to_owned(), texts.0.into_bytes()),
        ("ContROC.txt".to_owned(), texts.1.into_bytes()),
        ("curves.csv".to_owned(), csv.into_bytes()),
    ];
    if !config.figures.is_empty() {
        let figure = figure(config, curves);
        for format in &config.figures {
            let bytes = match format {
                FigureFormat::Svg => figure.svg()?.into_bytes(),
                FigureFormat::Png => figure.png()?,
            };
            contents.push((format!("roc.{}", format.extension()), bytes));
        }
    }
    let folder = &config.out.path;
    let mut files: Vec<PathBuf> = contents.iter().map(|(name, _)| folder.join(name)).collect();
    files.push(folder.join("summary.json"));
    let with_files = EvaluationReport { files: files.clone(), ..report.clone() };
    let summary = serde_json::to_vec_pretty(&with_files).map_err(EvaluateError::Summary)?;
    contents.push(("summary.json".to_owned(), summary));
    outputs::write_folder(&config.out, &contents)?;
    Ok(files)
}

fn labelled(curves: &FoldCurves) -> Vec<(String, &RocCurve)> {
    let folds = curves.folds.iter().map(|(fold, curve)| (format!("fold {fold}"), curve));
    std::iter::once(("pooled".to_owned(), &curves.pooled)).chain(folds).collect()
}

/// Draws the pooled curve, with published methods behind it. Folds would not fit its axis: each has a tenth of the faces.
fn figure(config: &FddbEvaluation, curves: &FoldCurves) -> Figure {
    let stem = config.detections.first().and_then(|p| p.file_stem()).map(|s| s.to_string_lossy().into_owned());
    let label = match config.detections.as_slice() {
        [_] => stem.unwrap_or_default(),
        _ => "Pooled".to_owned(),
    };
    let pooled = |kind| PlotCurve::of(&curves.pooled, kind);
    let methods = if config.published { published_methods() } else { Vec::new() };
    let markers = methods.iter().map(|m| FigureMarkers {
        label: m.label(),
        discrete: m.curve(ScoreKind::Discrete),
        continuous: m.curve(ScoreKind::Continuous),
    });
    Figure {
        curves: vec![FigureCurve {
            label,
            short: String::new(),
            style: curve_style(0, 0),
            behind: false,
            discrete: pooled(ScoreKind::Discrete),
            continuous: pooled(ScoreKind::Continuous),
        }],
        published: markers.collect(),
        logarithmic: config.logarithmic,
        x_end: FIGURE_X_END,
        from_zero: config.from_zero,
    }
}
