//! Builds a metric's tables: a row per round, and below it the difference from the previous round. No egui.

use super::metrics::{MetricsModel, counts_at_best};
use crate::app::command::CurveKey;
use crate::evaluation::Metric;
use crate::evaluation::coco::CocoMetrics;
use crate::evaluation::palette::CurveStyle;
use crate::evaluation::tide::ErrorKind;
use crate::workflow::round_metrics::RoundMetrics;

/// Which direction is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    Higher,
    Lower,
    /// A threshold, which has no better direction.
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Column {
    pub name: &'static str,
    pub hint: &'static str,
    /// Number of decimals.
    pub digits: usize,
    pub better: Better,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricRow {
    pub name: String,
    pub style: Option<CurveStyle>,
    pub values: Vec<Option<f64>>,
    /// The previous round, with the differences from it.
    pub since: Option<(u32, Vec<Option<f64>>)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricTable {
    /// Includes the thresholds of its numbers.
    pub title: String,
    pub columns: Vec<Column>,
    pub rows: Vec<MetricRow>,
}

const fn column(name: &'static str, hint: &'static str, digits: usize, better: Better) -> Column {
    Column { name, hint, digits, better }
}

/// Returns the tables of `metric` for the rounds `shown`.
pub fn tables(model: &MetricsModel, metric: Metric, shown: &[&CurveKey]) -> Vec<MetricTable> {
    let class = model.class();
    let of = |title: String, columns: Vec<Column>, values: &dyn Fn(&RoundMetrics) -> Vec<Option<f64>>| MetricTable {
        title,
        columns,
        rows: shown.iter().filter_map(|key| row(model, key, values)).collect(),
    };
    let whose = class.map_or_else(|| "all classes".to_owned(), str::to_owned);
    let whose = if model.classes().len() < 2 { String::new() } else { format!("{whose}, ") };
    let truth = if model.is_on_corrected() { "corrected ground truth, " } else { "" };
    let whose = format!("{truth}{whose}");
    let iou = shown.iter().find_map(|key| model.get(key)).map_or(0.5, |metrics| metrics.suite.precision_recall.iou);
    match metric {
        Metric::PrecisionRecall => vec![
            of(format!("Best F1: {whose}IoU from {iou}"), pr_columns(), &|m| precision_recall(m, class)),
            of(format!("Counts at the score of the best F1: {whose}IoU from {iou}"), count_columns(), &|m| {
                counts(m, class)
            }),
        ],
        Metric::MissRate => {
            let title = format!("Miss rate at false positives per image: {whose}IoU from {iou}");
            vec![of(title, miss_columns(), &|m| miss_rate(m, class))]
        }
        Metric::Coco | Metric::Voc | Metric::Fddb => {
            let ap = format!("Average precision: {whose}IoU as named, else mean over 0.50 to 0.95");
            let ar = format!("Average recall: {whose}mean over IoU 0.50 to 0.95");
            let mut tables =
                vec![of(ap, coco_columns(0), &|m| coco(m, class, 0)), of(ar, coco_columns(6), &|m| coco(m, class, 6))];
            tables.extend(by_class(model, shown).filter(|_| class.is_none()));
            tables
        }
        Metric::Tide => vec![
            of(
                format!(
                    "Cost in points of AP: {truth}IoU from {iou}, background up to 0.1, the best 100 detections per image"
                ),
                tide_columns(1, "AP points gained by fixing only these errors"),
                &|m| {
                    let tide = &m.suite.tide;
                    let special = [tide.special.false_pos, tide.special.false_neg];
                    let costs = tide.main.values().into_iter().chain(special).map(Some);
                    costs.chain([tide.ap]).collect()
                },
            ),
            of(
                format!("Errors counted at every score: {truth}IoU from {iou}, background up to 0.1"),
                tide_columns(0, "Errors of this kind"),
                &|m| {
                    let counts = m.suite.tide.counts.values();
                    let misses = m.suite.tide.counts.miss;
                    let false_positives: usize = counts.iter().sum::<usize>() - misses;
                    let all = counts.into_iter().chain([false_positives, misses]);
                    all.map(|count| Some(count as f64)).collect()
                },
            ),
        ],
    }
}

fn row(model: &MetricsModel, key: &CurveKey, values: &dyn Fn(&RoundMetrics) -> Vec<Option<f64>>) -> Option<MetricRow> {
    let metrics = model.get(key)?;
    let of_round = values(metrics);
    let since = model.before(key).map(|(round, before)| {
        let before = values(before);
        let differences = of_round.iter().zip(before).map(|(now, before)| Some((*now)? - before?));
        (round, differences.collect())
    });
    let unread = if metrics.unreadable > 0 { format!(" ({} unread)", metrics.unreadable) } else { String::new() };
    Some(MetricRow { name: key.name() + &unread, style: Some(key.style()), values: of_round, since })
}

fn pr_columns() -> Vec<Column> {
    vec![
        column("AP", "The area under the curve, as PASCAL VOC computes it from 2010 on", 4, Better::Higher),
        column("F1", "The largest F1: 2 TP / (2 TP + FP + FN)", 4, Better::Higher),
        column("Score from", "The confidence threshold with the largest F1", 4, Better::Neither),
        column("Precision", "At that threshold", 4, Better::Higher),
        column("Recall", "At that threshold", 4, Better::Higher),
    ]
}

fn precision_recall(m: &RoundMetrics, class: Option<&str>) -> Vec<Option<f64>> {
    let report = &m.suite.precision_recall;
    let curve = match class {
        Some(name) => report.classes.iter().find(|c| c.class.name == name).map(|c| &c.curve),
        None => Some(&report.overall),
    };
    let ap = match class {
        Some(name) => m.suite.voc.classes.iter().find(|c| c.class.name == name).and_then(|c| c.ap_all_point),
        None => m.suite.voc.map_all_point,
    };
    let best = curve.and_then(|curve| curve.best);
    vec![ap, best.map(|p| p.f1), best.map(|p| p.threshold), best.map(|p| p.precision), best.map(|p| p.recall)]
}

fn count_columns() -> Vec<Column> {
    vec![
        column("Score from", "The confidence threshold with the largest F1", 4, Better::Neither),
        column("Found", "Objects that a detection finds", 0, Better::Higher),
        column("False", "Detections that find no object", 0, Better::Lower),
        column("Missed", "Objects that no detection finds", 0, Better::Lower),
        column("Objects", "Objects, excluding ignored ones", 0, Better::Neither),
    ]
}

fn counts(m: &RoundMetrics, class: Option<&str>) -> Vec<Option<f64>> {
    let report = &m.suite.precision_recall;
    let curve = match class {
        Some(name) => report.classes.iter().find(|c| c.class.name == name).map(|c| &c.curve),
        None => Some(&report.overall),
    };
    let at_best = curve.and_then(counts_at_best);
    let best = curve.and_then(|curve| curve.best);
    vec![
        best.map(|p| p.threshold),
        at_best.map(|counts| counts.0 as f64),
        at_best.map(|counts| counts.1 as f64),
        at_best.map(|counts| counts.2 as f64),
        curve.map(|curve| curve.objects as f64),
    ]
}

fn miss_columns() -> Vec<Column> {
    vec![
        column("Log-average", "The geometric mean of the miss rate at nine points from 0.01 to 1", 4, Better::Lower),
        column("0.01", "False positives per image", 4, Better::Lower),
        column("0.1", "False positives per image", 4, Better::Lower),
        column("1", "False positives per image", 4, Better::Lower),
        column("Score at 0.1", "The confidence threshold there", 4, Better::Neither),
        column("Score at 1", "The confidence threshold there", 4, Better::Neither),
    ]
}

fn miss_rate(m: &RoundMetrics, class: Option<&str>) -> Vec<Option<f64>> {
    let report = &m.suite.miss_rate;
    let one = match (class, report.classes.as_slice()) {
        (Some(name), all) => all.iter().find(|c| c.class.name == name),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let average = match class {
        Some(_) => one.and_then(|class| class.log_average_miss_rate),
        None => report.mean_log_average_miss_rate,
    };
    let at = |k: usize| match one {
        Some(class) => class.at_reference.get(k).copied(),
        None if class.is_some() => None,
        None => {
            let rates: Vec<f64> = report.classes.iter().filter_map(|c| c.at_reference.get(k).copied()).collect();
            (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
        }
    };
    let score = |fppi: f64| one?.points.iter().take_while(|p| p.fppi <= fppi).last().map(|p| p.threshold);
    vec![average, at(0), at(4), at(8), score(0.1), score(1.0)]
}

fn coco_columns(from: usize) -> Vec<Column> {
    const HINTS: [(&str, &str); 12] = [
        ("AP", "Mean over ten IoU thresholds from 0.50 to 0.95"),
        ("AP50", "At IoU 0.50"),
        ("AP75", "At IoU 0.75"),
        ("small", "Objects up to 32 x 32 pixels"),
        ("medium", "Objects from 32 x 32 to 96 x 96 pixels"),
        ("large", "Objects from 96 x 96 pixels"),
        ("AR1", "With the best detection per image and class"),
        ("AR10", "With the best 10 detections per image and class"),
        ("AR100", "With the best 100 detections per image and class"),
        ("small", "Objects up to 32 x 32 pixels"),
        ("medium", "Objects from 32 x 32 to 96 x 96 pixels"),
        ("large", "Objects from 96 x 96 pixels"),
    ];
    HINTS[from..from + 6].iter().map(|(name, hint)| column(name, hint, 4, Better::Higher)).collect()
}

fn coco(m: &RoundMetrics, class: Option<&str>, from: usize) -> Vec<Option<f64>> {
    let report = &m.suite.coco;
    let metrics = match class {
        Some(name) => report.classes.iter().find(|c| c.class.name == name).map_or_else(Default::default, |c| c.metrics),
        None => report.overall,
    };
    CocoMetrics::values(&metrics)[from..from + 6].to_vec()
}

/// Returns the classes of the newest shown round, if there are several.
fn by_class(model: &MetricsModel, shown: &[&CurveKey]) -> Option<MetricTable> {
    let (key, metrics) = shown.iter().rev().find_map(|key| Some((key, model.get(key)?)))?;
    let classes = &metrics.suite.coco.classes;
    if classes.len() < 2 {
        return None;
    }
    let count = |name, hint| column(name, hint, 0, Better::Neither);
    let [ap, ap50, ap75, ..] = coco_columns(0)[..] else { return None };
    let columns = vec![
        count("Objects", "Objects, excluding ignored ones"),
        count("Detections", "At every score"),
        ap,
        ap50,
        ap75,
        column("AR100", "With the best 100 detections per image and class", 4, Better::Higher),
    ];
    let row = |class: &crate::evaluation::coco::CocoClass| MetricRow {
        name: class.class.name.clone(),
        style: None,
        values: vec![
            Some(class.objects as f64),
            Some(class.detections as f64),
            class.metrics.ap,
            class.metrics.ap50,
            class.metrics.ap75,
            class.metrics.ar100,
        ],
        since: None,
    };
    Some(MetricTable {
        title: format!("{}, class by class", key.name()),
        columns,
        rows: classes.iter().map(row).collect(),
    })
}

/// The error types under tidecv's names, then all false positives and misses; for costs also the AP.
fn tide_columns(digits: usize, hint: &'static str) -> Vec<Column> {
    let kinds = ErrorKind::ALL.map(|kind| column(kind.name(), hint, 2 * digits, Better::Lower));
    let special = ["FalsePos", "FalseNeg"].map(|name| column(name, hint, 2 * digits, Better::Lower));
    let ap = (digits > 0).then(|| column("AP", "At this IoU, in points from 0 to 100", 2, Better::Higher));
    kinds.into_iter().chain(special).chain(ap).collect()
}
