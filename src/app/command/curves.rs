//! Commands of the Curves screen.

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
    /// Switches between results on corrected and on imported ground truth.
    OnCorrected(bool),
    /// Shows one class, or all together.
    PickClass(Option<String>),
    SetLog(bool),
    /// Sets the end of the false positive axis; `None` fits it to the curves.
    SetMax(Option<u64>),
    /// Starts the rate axis at 0, or at a round number below the lowest curve.
    SetFromZero(bool),
    ShowEarlier(bool),
    TogglePublished(usize),
    /// Opens the dialog for a ROC file.
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
    /// Writes the shown curves to the chosen file or folder.
    Write(ExportFormat, Output),
    /// Cancels an export that would replace files.
    LeaveFiles,
}

/// Export format of curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Svg,
    Png,
    Csv,
    /// `DiscROC.txt` and `ContROC.txt` of each curve, in the format of FDDB's program.
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
