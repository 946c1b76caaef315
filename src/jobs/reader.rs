//! The thread that reads project data for the screens.

use std::collections::HashSet;
use std::path::PathBuf;

use super::curve_news::{CurveNews, ReportedCurves};
use super::{Damage, LARGE_PIXELS, OwnerThread, Waker};
use crate::domain::{
    Annotation, CandidateId, Class, ClassId, Detection, GroupId, ImageId, ImageRecord, RoundId, RoundRecord, Shares,
    VerdictCounts,
};
use crate::mining::GroupConfig;
use crate::store::{
    CandidateQuery, CandidateRow, Cursor, Dataset, HistoryQuery, HistoryStep, Inheritable, ObjectRow, Page, Store,
    StoreError,
};
use crate::training::{StepReport, logged_steps};
use crate::workflow::group::{GroupPreview, by_content, config as group_config, preview};
use crate::workflow::review::{AnnotatorStatistics, ReviewNumbers, annotator_statistics, numbers};
use crate::workflow::round_report::{RoundReport, round_report};
use crate::workflow::run_state::{RunState, run_states};
use crate::workflow::{Project, WorkflowError};

#[derive(Debug, Clone, PartialEq)]
pub enum ReadRequest {
    Overview,
    Page {
        query: Box<CandidateQuery>,
        after: Option<Cursor>,
        limit: usize,
    },
    Count {
        query: Box<CandidateQuery>,
    },
    Image {
        image: ImageId,
        round: RoundId,
    },
    Curves,
    Round(RoundId),
    /// The steps of a round, from its log.
    Steps(RoundId),
    /// Verdict counts of these candidates; the project's counts are limited to this annotator if one is named.
    Numbers {
        query: Box<CandidateQuery>,
        annotator: Option<String>,
    },
    Annotators,
    /// Verdicts of earlier rounds that can be carried over to the query's candidates.
    Inheritable {
        query: Box<CandidateQuery>,
    },
    /// The number of decisions left if groups were found with these settings.
    GroupPreview(GroupConfig),
    /// Whether imported detections still lack embeddings, or embeddings still wait for grouping, and the project wants them.
    EmbeddingsMissing,
    /// The best members of a group.
    Members {
        group: GroupId,
        limit: usize,
    },
    History {
        query: Box<HistoryQuery>,
        limit: usize,
    },
    Candidate(CandidateId),
    /// The current state of candidates.
    Rows(Vec<CandidateId>),
    /// Undecided candidates on very large images.
    OnLargeImages,
    /// The data for the first page of the review, limited to fast queries: the filter's text, the groups' distance, the rounds, the
    /// classes, the shares.
    ReviewSetUp,
}

/// The setting that stores the review's filter.
pub const REVIEW_FILTER: &str = "review_filter";

/// Maximum number of candidates on very large images whose crops are prefetched; the disk cache has no room for more.
const KEPT_AHEAD: usize = 1000;

/// A summary of the project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    pub datasets: Vec<Dataset>,
    pub classes: Vec<Class>,
    /// Classes whose objects are annotated as ellipses.
    pub elliptic: HashSet<ClassId>,
    pub images: u64,
    pub faces: u64,
    /// Number of images in each split.
    pub splits: Vec<(String, u64)>,
    pub rounds: Vec<RoundRecord>,
    /// Everyone who has given a verdict.
    pub annotators: Vec<String>,
    /// How the review is divided.
    pub shares: Option<Shares>,
    pub counts: VerdictCounts,
    /// The number of the newest round with training steps, and its median step time in seconds.
    pub speed: Option<(u32, f64)>,
    pub cross_validations: Vec<RunState>,
    /// Why they could not be read.
    pub cross_validation_problem: Option<String>,
}

/// Everything drawn over an image.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDetail {
    pub record: ImageRecord,
    pub path: PathBuf,
    pub ground_truth: Vec<Annotation>,
    /// Includes deleted objects, as corrections refer to them.
    pub objects: Vec<ObjectRow>,
    pub detections: Vec<Detection>,
    /// Annotators who marked the image as complete: no object lacks an annotation.
    pub complete_by: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ReadReply {
    Overview(Box<Overview>),
    Page(Page),
    Count(u64),
    Image(Box<ImageDetail>),
    /// Changes since the last report.
    Curves(Box<CurveNews>),
    Round(Box<RoundReport>),
    /// For the round with this number.
    Steps(u32, Vec<StepReport>),
    Numbers(Box<ReviewNumbers>),
    Annotators(Box<AnnotatorStatistics>),
    Inheritable(Inheritable),
    GroupPreview(GroupConfig, GroupPreview),
    EmbeddingsMissing(bool),
    Members(GroupId, Vec<CandidateRow>),
    History(Vec<HistoryStep>),
    Candidate(Box<CandidateRow>),
    Rows(Vec<CandidateRow>),
    OnLargeImages(Vec<CandidateRow>),
    ReviewSetUp {
        filter: Option<String>,
        grouping: GroupConfig,
        rounds: Vec<RoundRecord>,
        classes: Vec<Class>,
        elliptic: HashSet<ClassId>,
        shares: Option<Shares>,
    },
    /// The request cannot be answered because the database is damaged.
    Damaged(Damage),
}

pub type ProjectReader = OwnerThread<ReadRequest, ReadReply>;

/// Opens `database` for reading on its own thread.
pub fn start_reader(database: PathBuf, waker: Waker) -> std::io::Result<ProjectReader> {
    let open = move || {
        let store = Store::open_read_only(&database).map_err(|e| e.to_string())?;
        Ok(ReaderState { store, reported: ReportedCurves::default() })
    };
    let serve = |desk: &mut ReaderState, request| {
        read(desk, request).or_else(|error| match &error {
            WorkflowError::Store(cause) => Damage::of(cause).map(ReadReply::Damaged).ok_or_else(|| error.to_string()),
            _ => Err(error.to_string()),
        })
    };
    OwnerThread::start("Project reader", open, serve, waker)
}

/// The state owned by the thread.
struct ReaderState {
    store: Store,
    reported: ReportedCurves,
}

fn read(ReaderState { store, reported }: &mut ReaderState, request: ReadRequest) -> Result<ReadReply, WorkflowError> {
    Ok(match request {
        ReadRequest::Overview => {
            let mut overview = overview(store)?;
            match run_states(&Project::of_database(store.path())?) {
                Ok(runs) => overview.cross_validations = runs,
                Err(error) => overview.cross_validation_problem = Some(error.to_string()),
            }
            ReadReply::Overview(Box::new(overview))
        }
        ReadRequest::Page { query, after, limit } => {
            ReadReply::Page(store.candidates_page(&query, after.as_ref(), limit)?)
        }
        ReadRequest::Count { query } => ReadReply::Count(store.count_candidates(&query)?),
        ReadRequest::Image { image, round } => ReadReply::Image(Box::new(ImageDetail {
            record: store.image(image)?,
            path: store.image_file(image)?,
            ground_truth: store.ground_truth(image)?.into_iter().map(|(_, annotation)| annotation).collect(),
            objects: store.objects_of_image(image)?,
            detections: store.detections(round, image)?,
            complete_by: store.image_marks(image)?,
        })),
        ReadRequest::Curves => ReadReply::Curves(Box::new(reported.news(store)?)),
        ReadRequest::Round(round) => {
            let project = Project::of_database(store.path())?;
            let round = store.round(round)?;
            ReadReply::Round(Box::new(round_report(&project, store, &round)?))
        }
        ReadRequest::Steps(round) => {
            let number = store.round(round)?.number;
            let run_dir = Project::of_database(store.path())?.run_dir(number);
            let steps =
                logged_steps(&run_dir).map_err(WorkflowError::io(&run_dir, "Check the folder's permissions."))?;
            ReadReply::Steps(number, steps)
        }
        ReadRequest::Numbers { query, annotator } => {
            ReadReply::Numbers(Box::new(numbers(store, &query, annotator.as_deref())?))
        }
        ReadRequest::Inheritable { query } => ReadReply::Inheritable(store.inheritable(&query)?),
        ReadRequest::GroupPreview(config) => ReadReply::GroupPreview(config, preview(store, &config)?),
        ReadRequest::EmbeddingsMissing => {
            let is_wanted = by_content(store)?.is_some();
            ReadReply::EmbeddingsMissing(is_wanted && (store.lacks_embeddings()? || store.has_ungrouped_embeddings()?))
        }
        ReadRequest::Members { group, limit } => {
            let members: Vec<CandidateId> = store.group_members(group)?.into_iter().take(limit).collect();
            ReadReply::Members(group, store.candidate_rows(&members)?)
        }
        ReadRequest::Annotators => ReadReply::Annotators(Box::new(annotator_statistics(store)?)),
        ReadRequest::History { query, limit } => ReadReply::History(history(store, &query, limit)?),
        ReadRequest::Candidate(candidate) => ReadReply::Candidate(Box::new(store.candidate_row(candidate)?)),
        ReadRequest::Rows(candidates) => ReadReply::Rows(store.candidate_rows(&candidates)?),
        ReadRequest::OnLargeImages => {
            let left = store.left_on_large_images(LARGE_PIXELS, KEPT_AHEAD)?;
            ReadReply::OnLargeImages(store.candidate_rows(&left)?)
        }
        ReadRequest::ReviewSetUp => ReadReply::ReviewSetUp {
            filter: store.setting(REVIEW_FILTER)?,
            grouping: group_config(store)?,
            rounds: store.rounds()?,
            classes: store.classes()?,
            elliptic: elliptic(store)?,
            shares: store.shares()?,
        },
    })
}

fn overview(store: &Store) -> Result<Overview, StoreError> {
    let of_splits = store.images_of_splits()?;
    let datasets = store.datasets()?;
    let rounds = store.rounds()?;
    Ok(Overview {
        datasets,
        images: of_splits.iter().map(|(_, images)| images).sum(),
        elliptic: elliptic(store)?,
        classes: store.classes()?,
        faces: store.count_ground_truth()?,
        splits: of_splits.into_iter().filter_map(|(split, images)| Some((split?, images))).collect(),
        speed: speed(store, &rounds)?,
        rounds,
        annotators: store.annotators()?,
        shares: store.shares()?,
        counts: store.verdict_counts(None)?,
        ..Overview::default()
    })
}

fn elliptic(store: &Store) -> Result<HashSet<ClassId>, StoreError> {
    let classes = store.classes()?.into_iter().map(|class| class.id);
    let of = |class: ClassId| -> Result<Option<ClassId>, StoreError> { Ok(store.is_elliptic(class)?.then_some(class)) };
    classes.filter_map(|class| of(class).transpose()).collect()
}

fn speed(store: &Store, rounds: &[RoundRecord]) -> Result<Option<(u32, f64)>, StoreError> {
    for round in rounds.iter().rev() {
        if let Some(seconds) = store.metric_summary(round.id, "step_s")?.recent_median {
            return Ok(Some((round.number, seconds)));
        }
    }
    Ok(None)
}

/// Returns the decisions in the log; for one gesture, each of its candidates individually.
fn history(store: &Store, query: &HistoryQuery, limit: usize) -> Result<Vec<HistoryStep>, StoreError> {
    if query.gesture.is_none() {
        return store.history_steps(query, limit);
    }
    let verdicts = store.history(query, limit)?;
    if verdicts.is_empty() {
        return store.corrections_of_gesture(query, limit);
    }
    Ok(verdicts.into_iter().map(HistoryStep::from).collect())
}
