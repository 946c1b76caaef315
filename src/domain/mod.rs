//! The types that all layers share: ids, images, annotations, detections, candidates, verdicts, rounds. Also cancellation, progress, locks,
//! panic handling, bounded file reads and atomic file writes.

mod annotation;
mod candidate;
mod class;
mod correction;
mod counted;
mod crash_report;
mod data_folder;
mod detection;
mod file_system;
mod folds;
mod growing;
mod ids;
mod image;
mod image_name;
mod input;
mod mounts;
mod observer;
mod output;
mod panics;
mod perceptual_hashes;
mod place;
mod printable;
mod rate;
mod resident_memory;
mod review_counts;
mod roi_feature;
mod round;
mod shares;
mod shown_path;
mod sources;
mod valid_shape;
mod verdict;
mod whole_file;
mod work_lock;

pub use annotation::{Annotation, AnnotationSource, Shape};
pub use candidate::{BACKGROUND_MAX_IOU, CANDIDATE_MAX_IOU, Candidate, FalsePositiveKind, Overlaps, overlaps_ignored};
pub use class::Class;
pub use correction::{Correction, CorrectionAct, DeletedObject, ObjectChange, ObjectState};
pub use counted::{counted, counted_as};
pub use crash_report::{crash_folder, mark_seen, new_crash_reports, remember_log};
pub use data_folder::data_folder;
pub use detection::Detection;
pub use file_system::network_file_system;
pub use folds::{parse_folds, parse_splits, sort_splits};
pub use growing::{GrowingFile, open_growing};
pub use ids::{CandidateId, ClassId, DatasetId, GroundTruthId, GroupId, ImageId, RoundId};
pub use image::{ImageRecord, fold_number};
pub use image_name::{IMAGE_EXTENSIONS, ImageNames, NameMatch, distinct_names, without_image_extension};
pub use input::{
    InputError, NOT_UTF_8, UTF_16, advice, begin_text, is_not_utf8, is_utf16, limits, open_log, open_regular,
    open_weights, read_bytes, read_text, read_text_bytes, read_weights, text_bytes, without_bom,
};
pub use observer::{Cancel, Progress};
pub use output::{Output, OutputError, ReadOnly, real_place, real_places};
pub use panics::{Panic, caught, report_panics};
pub use perceptual_hashes::PerceptualHashes;
pub use place::{Moved, Place, make_folder, make_folders_below, stays_below};
pub use printable::{
    cell_text, csv_text, list_problem, printable, printable_json, printable_line, printable_message, printable_path,
};
pub use rate::{Rate, clock};
pub use resident_memory::resident_bytes;
pub use review_counts::{VerdictCounts, is_left};
pub use roi_feature::{FeatureSpace, ROI_FEATURE_LENGTH, RoiFeature};
pub use round::{HardNegativeSource, ImportedModel, RoundInit, RoundRecord, RoundState, TruthSource};
pub use shares::{Share, Shares};
pub use shown_path::{shown_path, shown_path_if_any, shown_paths};
pub use sources::{Away, Sources};
pub use valid_shape::{MAX_IMAGE_SIDES, MIN_SIDE_PX, ShapeProblem, check_shape, check_sides};
pub use verdict::{Basis, Verdict, VerdictRecord};
pub use whole_file::{
    UnfinishedFolder, check_writable, clear_unfinished, finish as finish_file, unfinished_file, unfinished_folder,
    unfinished_link, write_output, write_output_with, write_together, write_whole, write_whole_with,
};
pub use work_lock::{LockError, LockHolder, WRITE_ACCESS, WorkLock, in_project};
