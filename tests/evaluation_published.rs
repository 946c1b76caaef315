//! Published FDDB curves: the built-in table against its source files, and the import of all 21 methods.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up shall fail")]

mod support;

use std::path::Path;

use quarry::evaluation::published::{PUBLISHED_CSV, published_methods};
use quarry::evaluation::roc_file::{ColumnOrder, ImportedCurve, parse};

fn import(path: &Path) -> ImportedCurve {
    parse(&std::fs::read_to_string(path).unwrap(), None).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn the_table_is_read_whole() {
    let methods = published_methods();
    let points: usize = methods.iter().map(|m| m.points.len()).sum();
    assert_eq!((methods.len(), points, PUBLISHED_CSV.lines().count()), (16, 64, 65));
    for m in &methods {
        assert_eq!(
            m.points.iter().map(|p| p.false_positives).collect::<Vec<_>>(),
            [100, 500, 1000, 2000],
            "{}",
            m.method
        );
        assert!(!m.venue.is_empty() && !m.source.is_empty() && (2001..2017).contains(&m.year), "{}", m.method);
    }
    assert!(methods[0].notes.contains("smoothed"));
}

#[test]
fn every_number_of_the_table_is_in_the_published_files() {
    let Some(shared) = support::shared_dir() else { return };
    for m in published_methods() {
        let curve = |kind: &str| import(&shared.join(format!("published_curves/{}_{kind}ROC.txt", m.source))).curve;
        let (disc, cont) = (curve("Disc"), curve("Cont"));
        for p in &m.points {
            let fp = p.false_positives as f64;
            for (ours, file) in [(p.discrete, disc.rate_at(fp)), (p.continuous, cont.rate_at(fp))] {
                assert_eq!(format!("{ours:.4}"), format!("{:.4}", file.unwrap()), "{} at {fp}", m.method);
            }
        }
        // Smoothed or resampled curves, and those with another face count, are marked.
        let whole = disc.points.iter().filter(|p| ((p.rate * 5171.0) - (p.rate * 5171.0).round()).abs() < 0.02).count();
        assert_eq!(whole < disc.points.len() * 95 / 100, m.notes.contains("counts of"), "{}: {}", m.method, m.notes);
    }
}

#[test]
fn all_21_published_methods_can_be_imported() {
    let Some(shared) = support::shared_dir() else { return };
    let (mut files, mut with_thresholds) = (0, 0);
    for entry in std::fs::read_dir(shared.join("published_curves")).unwrap() {
        let path = entry.unwrap().path();
        let imported = import(&path);
        let points = &imported.curve.points;
        assert!(points.windows(2).all(|w| w[0].false_positives <= w[1].false_positives), "{}", path.display());
        assert!(points.iter().all(|p| (0.0..=1.0).contains(&p.rate)) && points.len() > 700, "{}", path.display());
        check_swapped(&path, &imported);
        files += 1;
        with_thresholds += usize::from(imported.has_thresholds);
    }
    assert_eq!((files, with_thresholds), (42, 19));
}

/// The same curve with swapped columns, as also found in circulation, is detected as equal.
fn check_swapped(path: &Path, imported: &ImportedCurve) {
    let text = std::fs::read_to_string(path).unwrap().replace('\r', "\n");
    let swapped = text.lines().filter(|l| !l.trim().is_empty()).map(|line| {
        let mut words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.swap(0, 1);
        words.join(" ")
    });
    let other = parse(&swapped.collect::<Vec<_>>().join("\n"), None).unwrap();
    assert_eq!(other.curve, imported.curve, "{}", path.display());
    assert_eq!((imported.order, other.order), (ColumnOrder::RateFirst, ColumnOrder::FalsePositivesFirst));
}
