//! Reads ROC files of other programs (`*DiscROC.txt`, `*ContROC.txt`). Their column order varies: it is inferred from the numbers, and an
//! ambiguous file is refused.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use super::plot_curve::{CurvePoint, PlotCurve};
use crate::domain::printable;

/// Which of the first two columns is the true positive rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnOrder {
    RateFirst,
    FalsePositivesFirst,
}

/// An imported curve and what was detected in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedCurve {
    pub curve: PlotCurve,
    pub order: ColumnOrder,
    /// Whether a third column has thresholds.
    pub has_thresholds: bool,
}

/// Why a file is not a ROC curve. Lines count from 1; the caller knows the file name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RocFileError {
    #[error("line {line}: {message}")]
    Line { line: usize, message: String },
    #[error("no ROC rows in this file")]
    Empty,
    #[error(
        "cannot tell which column is the true positive rate: both could be. A ROC file has a rate between 0 and 1 and a whole \
         number of false positives in each line; add the order by hand"
    )]
    Ambiguous,
    #[error(
        "the first two columns are not a rate and false positives: a rate lies between 0 and 1, false positives are whole numbers, \
         and the rate is no lower at the most false positives than at the fewest. Put the score, where there is one, third"
    )]
    NoRate,
}

/// Reads a ROC file and detects its columns; `order` is only used if the numbers are ambiguous.
#[expect(clippy::indexing_slicing, reason = "`rows` lets through only rows of at least two numbers")]
pub fn parse(text: &str, order: Option<ColumnOrder>) -> Result<ImportedCurve, RocFileError> {
    let rows = rows(text)?;
    let columns = rows.first().ok_or(RocFileError::Empty)?.len();
    let order = match (find_order(&rows), order) {
        (Err(RocFileError::Ambiguous), Some(order)) => order,
        (found, _) => found?,
    };
    let (rate, fp) = match order {
        ColumnOrder::RateFirst => (0, 1),
        ColumnOrder::FalsePositivesFirst => (1, 0),
    };
    let threshold = |row: &[f64]| row.get(2).copied().filter(|t| is_threshold(*t));
    let points =
        rows.iter().map(|row| CurvePoint { false_positives: row[fp], rate: row[rate], threshold: threshold(row) });
    Ok(ImportedCurve { curve: PlotCurve::new(points.collect()), order, has_thresholds: columns == 3 })
}

/// `DBL_MAX`, and the 1e20 of old Windows builds, mean "no detections".
fn is_threshold(value: f64) -> bool {
    value != 1e20 && value < 1e308
}

/// Parses rows of two or three numbers. Accepts any line ending: one file in circulation even mixes CR LF with lone CR.
fn rows(text: &str) -> Result<Vec<Vec<f64>>, RocFileError> {
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (k, line) in text.replace("\r\n", "\n").split(['\n', '\r']).enumerate() {
        let words: Vec<&str> =
            line.split(|c: char| c.is_ascii_whitespace() || c == ',').filter(|w| !w.is_empty()).collect();
        if words.first().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        let error = |message: String| RocFileError::Line { line: k + 1, message };
        let numbers = words.iter().map(|w| {
            let value = w.parse::<f64>().ok().filter(|v| v.is_finite());
            value.ok_or_else(|| error(format!("`{}` is not a finite number", printable(w))))
        });
        let row: Vec<f64> = numbers.collect::<Result<_, _>>()?;
        if !(2..=3).contains(&row.len()) || rows.first().is_some_and(|first| first.len() != row.len()) {
            return Err(error(format!("{} numbers; a ROC file has two or three, the same in each line", row.len())));
        }
        rows.push(row);
    }
    Ok(rows)
}

#[expect(clippy::indexing_slicing, reason = "`rows` lets through only rows of at least two numbers")]
fn find_order(rows: &[Vec<f64>]) -> Result<ColumnOrder, RocFileError> {
    let could_be_rate = |c: usize| rows.iter().all(|r| (0.0..=1.0).contains(&r[c]));
    let could_be_count = |c: usize| rows.iter().all(|r| r[c] >= 0.0 && r[c].fract() == 0.0);
    let could_be = |rate: usize, count: usize| could_be_rate(rate) && could_be_count(count) && rises(rows, rate, count);
    let (rate_first, count_first) = (could_be(0, 1), could_be(1, 0));
    match (rate_first, count_first) {
        (true, false) => Ok(ColumnOrder::RateFirst),
        (false, true) => Ok(ColumnOrder::FalsePositivesFirst),
        (true, true) => Err(RocFileError::Ambiguous),
        (false, false) => Err(RocFileError::NoRate),
    }
}

/// Whether the rate at the most false positives is at least that at the fewest: a score column falls instead.
#[expect(clippy::indexing_slicing, reason = "`rows` lets through only rows of at least two numbers")]
fn rises(rows: &[Vec<f64>], rate: usize, count: usize) -> bool {
    let counts = || rows.iter().map(|r| r[count]);
    let (fewest, most) = (counts().fold(f64::INFINITY, f64::min), counts().fold(f64::NEG_INFINITY, f64::max));
    let rates_at = |at: f64| rows.iter().filter(move |r| r[count] == at).map(|r| r[rate]);
    rates_at(fewest).fold(f64::INFINITY, f64::min) <= rates_at(most).fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_no_rate_and_the_users_word_counts_only_in_doubt() {
        // Score, false positives, rate: the score falls as the false positives rise.
        assert_eq!(parse("0.9 0 0.5\n0.7 3 0.8\n0.2 10 0.9\n", None), Err(RocFileError::NoRate));
        assert_eq!(
            parse("0 0.9\n3 0.7\n", Some(ColumnOrder::FalsePositivesFirst)).map(|c| c.order),
            Err(RocFileError::NoRate)
        );
        let order_of = |text: &str| parse(text, Some(ColumnOrder::FalsePositivesFirst)).map(|c| c.order);
        assert_eq!(order_of("0.9 10\n0.8 3\n"), Ok(ColumnOrder::RateFirst));
        assert_eq!(order_of("0 0\n1 1\n"), Ok(ColumnOrder::FalsePositivesFirst));
        // Several rates at the fewest false positives, as in every ROC file.
        assert_eq!(order_of("0.9 5\n0.8 0\n0.1 0\n"), Ok(ColumnOrder::RateFirst));
    }

    #[test]
    fn finds_the_columns_or_says_that_it_cannot() {
        let order = |text: &str| parse(text, None).map(|c| (c.order, c.has_thresholds));
        assert_eq!(order("0.9 10 0.5\n0.8 3 0.7\n"), Ok((ColumnOrder::RateFirst, true)));
        assert_eq!(order("3 0.8\r\n10 0.9\r\n"), Ok((ColumnOrder::FalsePositivesFirst, false)));
        assert_eq!(order("0 0\n1 1\n"), Err(RocFileError::Ambiguous));
        assert_eq!(order("0.5 0.7\n0.6 0.8\n"), Err(RocFileError::NoRate));
        assert_eq!(order("\n \n"), Err(RocFileError::Empty));
        assert!(matches!(order("0.9 10\n0.8 x\n"), Err(RocFileError::Line { line: 2, .. })));
        assert!(matches!(order("0.9 10\n0.8 3 0.1\n"), Err(RocFileError::Line { line: 2, .. })));
        assert!(matches!(order("0.9 nan\n"), Err(RocFileError::Line { line: 1, .. })));
    }
}
