//! What the Curves screen asks for.

use std::path::PathBuf;

use super::curve_key::CurveKey;
use crate::domain::Output;
use crate::evaluation::Metric;
use crate::evaluation::roc_file::ColumnOrder;

#[derive(Debug, Clone, PartialEq)]
pub enum CurvesCommand {
    Toggle(CurveKey),
    /// Selects another metric.
    PickMetric(Metric),
    /// Shows the numbers on corrected ground truth, or those on the imported.
    OnCorrected(bool),
    /// Shows one class, or all together.
    PickClass(Option<String>),
    SetLog(bool),
    /// Where the axis of false positives ends; fitted to the curves without.
    SetMax(Option<u64>),
    /// Start y axis at 0, or from a round number below the lowest curve.
    SetFromZero(bool),
    ShowEarlier(bool),
    TogglePublished(usize),
    /// Asks for a ROC file.
    ChooseRoc,
    /// Reads a ROC file; `order` is the user's choice if the columns are ambiguous.
    ReadRoc(PathBuf, Option<ColumnOrder>),
    /// Cancels the import of a file with ambiguous columns.
    LeaveRoc,
    /// Removes an imported curve, by name.
    ForgetRoc(String),
    /// Sets the review's filter to this score and above.
    ReviewFrom(f64),
    Export(ExportFormat),
    /// Writes the shown curves to a file or folder that was chosen.
    Write(ExportFormat, Output),
    /// Cancels an export that would replace files.
    LeaveFiles,
}

/// How curves are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Svg,
    Png,
    Csv,
    /// `DiscROC.txt` and `ContROC.txt` of each curve, as FDDB's program writes them.
    Official,
}

impl ExportFormat {
    pub const ALL: [Self; 4] = [Self::Svg, Self::Png, Self::Csv, Self::Official];

    pub fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Csv => "csv",
            Self::Official => "txt",
        }
    }
}
