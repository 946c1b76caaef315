//! The thread that writes verdicts, notes and settings: it owns the project's write connection and replies once a decision is on disk.
//! After database damage it only reports the damage.

use std::path::PathBuf;

use super::{OwnerThread, Waker};
use crate::domain::{
    Basis, CandidateId, ClassId, GroundTruthId, GroupId, ImageId, ObjectChange, RoundId, Shape, Verdict,
};
use crate::store::{CandidateQuery, CandidateRow, Gesture, GestureAction, NewVerdict, Store, StoreError, now_ms};
use crate::workflow::{Project, WorkflowError};

/// Gestures over more candidates than this do not reload their images.
const REFRESHED_MAX: usize = 64;
/// An undo or redo of up to this many candidates reloads them, though not all of their images.
const RELOADED_MAX: usize = 2_000;

/// A write request. Each verdict or correction is one undo step; all are answered by [`WriteReply::Verdict`].
#[derive(Debug, Clone, PartialEq)]
pub enum WriteRequest {
    /// Decides the candidates, and all group members that are undecided when this is written.
    Decide {
        candidates: Vec<CandidateId>,
        groups: Vec<GroupId>,
        verdict: Verdict,
        /// For a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
        by: Annotator,
    },
    /// Decides everything that the query matches when this is written, loaded or not.
    DecideQuery {
        query: Box<CandidateQuery>,
        verdict: Verdict,
        /// For a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
        by: Annotator,
    },
    /// Carries over the verdicts of earlier rounds on these candidates.
    Inherit {
        candidates: Vec<CandidateId>,
        by: Annotator,
    },
    /// Carries over the verdicts of earlier rounds on all undecided candidates that the query matches.
    InheritQuery {
        query: Box<CandidateQuery>,
        by: Annotator,
    },
    /// Confirms, as estimated, all undecided candidates that the query matches when this is written.
    Estimate {
        query: Box<CandidateQuery>,
        by: Annotator,
    },
    MissedObject {
        candidate: CandidateId,
        shape: Shape,
        /// `None`: the class that the detector predicted.
        class: Option<ClassId>,
        by: Annotator,
    },
    /// Corrects objects of the ground truth, of one image or of several.
    Correct {
        objects: Vec<GroundTruthId>,
        change: ObjectChange,
        by: Annotator,
    },
    /// Adds an object that was drawn where neither the dataset nor a detection has one.
    AddObject {
        image: ImageId,
        shape: Shape,
        class: ClassId,
        by: Annotator,
    },
    Undo {
        by: Annotator,
    },
    Redo {
        by: Annotator,
    },
    /// Toggles the annotator's mark that the image is completely annotated. Not a gesture: the same request undoes it.
    MarkImage {
        image: ImageId,
        by: Annotator,
    },
    /// Replaces the user's notes on a round. Not a gesture: there is no undo.
    Notes {
        round: RoundId,
        notes: String,
    },
    /// From now on the random order is a sample of what is undecided now. Answered as a setting.
    BeginSample,
    /// A named text stored with the project.
    Setting {
        name: &'static str,
        value: String,
    },
    /// Checks whether the database can be written.
    Health,
    /// Stop writing: another thread found the database damaged.
    Close(Damage),
}

/// The annotator who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotator {
    pub name: String,
    /// Replies hide other annotators' verdicts, and group counts are this annotator's alone.
    pub blind: bool,
}

/// The result of a request; it is on disk.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteReply {
    Verdict(Box<Written>),
    Notes(RoundId),
    /// Whether the image is now marked as complete by the annotator.
    ImageMarked {
        image: ImageId,
        name: String,
        complete: bool,
    },
    Setting,
    /// `None`: the database is intact.
    Health(Option<Damage>),
}

/// A damaged database: it can only be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What is wrong with which file, and what to do.
    pub message: String,
    pub database: PathBuf,
    pub newest_good_backup: Option<PathBuf>,
}

impl Damage {
    /// Returns the damage that an error reports; `None` for every other error.
    pub(super) fn of(error: &StoreError) -> Option<Self> {
        let StoreError::Corrupt { path, backup, .. } = error else { return None };
        let message = error.to_string();
        Some(Self { message, database: path.clone(), newest_good_backup: backup.clone() })
    }
}

/// The gesture is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// `None`: nothing to undo or redo, nothing left to decide, or the objects were already in that state.
    pub gesture: Option<Gesture>,
    /// The current rows of the gesture's candidates and the others on their images, or of the images of corrected objects. Empty for a
    /// large decision; after its undo only the candidates, and empty if there are very many.
    pub changed: Vec<CandidateRow>,
    /// The gesture's first candidate.
    pub row: Option<CandidateRow>,
    /// The gesture's groups that still have undecided candidates, and how many; empty for a large decision.
    pub waiting: Vec<(GroupId, u32)>,
}

pub type VerdictWriter = OwnerThread<WriteRequest, WriteReply>;

/// The state owned by the thread.
enum Opened {
    Sound(Box<Store>),
    Damaged(Damage),
}

/// Opens `database` for writing on its own thread.
pub fn start_writer(database: PathBuf, waker: Waker) -> std::io::Result<VerdictWriter> {
    let open = move || match Project::of_database(&database).and_then(|project| project.open_store_now()) {
        Ok(store) => Ok(Opened::Sound(Box::new(store))),
        Err(WorkflowError::Store(error)) => Damage::of(&error).map(Opened::Damaged).ok_or_else(|| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    OwnerThread::start("Verdict writer", open, serve, waker)
}

/// Damage found while writing ends all writing: the database is closed, and from then on the damage is only reported.
fn serve(opened: &mut Opened, request: WriteRequest) -> Result<WriteReply, String> {
    match (&mut *opened, request) {
        (_, WriteRequest::Close(damage)) => {
            if let Opened::Sound(store) = &*opened {
                store.leave_as_it_is();
            }
            *opened = Opened::Damaged(damage.clone());
            Ok(WriteReply::Health(Some(damage)))
        }
        (Opened::Damaged(damage), WriteRequest::Health) => Ok(WriteReply::Health(Some(damage.clone()))),
        (Opened::Damaged(damage), _) => Err(damage.message.clone()),
        (Opened::Sound(store), request) => write(store, request).map_err(|error| {
            if let Some(damage) = Damage::of(&error) {
                *opened = Opened::Damaged(damage);
            }
            error.to_string()
        }),
    }
}

fn write(store: &mut Store, request: WriteRequest) -> Result<WriteReply, StoreError> {
    let now = now_ms();
    let (gesture, by) = match request {
        WriteRequest::Decide { mut candidates, groups, verdict, class, reason, by } => {
            for group in groups {
                candidates.extend(store.undecided_of_group(group, by.only())?);
            }
            let ruling = NewVerdict { class, reason: reason.as_deref(), ..NewVerdict::plain(verdict) };
            (decide(store, &candidates, &by, &ruling, now)?, by)
        }
        WriteRequest::DecideQuery { query, verdict, class, reason, by } => {
            let candidates = store.candidate_ids(&query);
            // The reader has the same lists in memory; here they are needed once.
            store.forget_lists();
            let ruling = NewVerdict { class, reason: reason.as_deref(), ..NewVerdict::plain(verdict) };
            (decide(store, &candidates?, &by, &ruling, now)?, by)
        }
        WriteRequest::Inherit { candidates, by } => (store.inherit(&candidates, &by.name, now)?, by),
        WriteRequest::InheritQuery { query, by } => {
            let written = store.inherit_all(&query, &by.name, now);
            store.forget_lists();
            (written?, by)
        }
        WriteRequest::Estimate { query, by } => {
            let candidates = query.undecided().map_or(Ok(Vec::new()), |waiting| store.candidate_ids(&waiting));
            store.forget_lists();
            let ruling = NewVerdict { basis: Basis::Estimated, ..NewVerdict::plain(Verdict::Confirmed) };
            (decide(store, &candidates?, &by, &ruling, now)?, by)
        }
        WriteRequest::MissedObject { candidate, shape, class, by } => {
            (Some(store.record_missed_object(candidate, &by.name, (shape, class), None, now)?), by)
        }
        WriteRequest::Correct { objects, change, by } => (store.correct_objects(&objects, &by.name, change, now)?, by),
        WriteRequest::AddObject { image, shape, class, by } => {
            (Some(store.add_object(image, &by.name, (shape, class), now)?), by)
        }
        WriteRequest::Undo { by } => (store.undo(&by.name, now)?, by),
        WriteRequest::Redo { by } => (store.redo(&by.name, now)?, by),
        WriteRequest::Notes { round, notes } => {
            store.set_round_notes(round, &notes)?;
            return Ok(WriteReply::Notes(round));
        }
        WriteRequest::MarkImage { image, by } => {
            let complete = store.toggle_image_mark(image, &by.name)?;
            return Ok(WriteReply::ImageMarked { image, name: store.image(image)?.name, complete });
        }
        WriteRequest::BeginSample => {
            store.begin_sample()?;
            return Ok(WriteReply::Setting);
        }
        WriteRequest::Setting { name, value } => {
            store.set_setting(name, &value)?;
            return Ok(WriteReply::Setting);
        }
        WriteRequest::Health | WriteRequest::Close(_) => return Ok(WriteReply::Health(None)),
    };
    // The gesture is saved from here on: a failure to reload rows is not a failure to save.
    let candidates = gesture.as_ref().map_or(&[][..], |g| &g.candidates);
    let row = candidates.first().and_then(|c| store.candidate_row(*c).ok()).map(|row| by.sees(row));
    let changed = gesture.as_ref().and_then(|gesture| changed_by(store, gesture).ok()).unwrap_or_default();
    let waiting = waiting_of(store, candidates, &changed, &by);
    let changed = changed.into_iter().map(|row| by.sees(row)).collect();
    Ok(WriteReply::Verdict(Box::new(Written { gesture, changed, row, waiting })))
}

/// `None`: nothing is left to decide since the screen was read.
fn decide(
    store: &mut Store,
    candidates: &[CandidateId],
    by: &Annotator,
    ruling: &NewVerdict<'_>,
    now: i64,
) -> Result<Option<Gesture>, StoreError> {
    if candidates.is_empty() {
        return Ok(None);
    }
    store.decide(candidates, &by.name, ruling, now).map(Some)
}

/// Counts what is undecided in the groups of `candidates`, in their order, for those with rows in `rows`.
fn waiting_of(store: &Store, candidates: &[CandidateId], rows: &[CandidateRow], by: &Annotator) -> Vec<(GroupId, u32)> {
    let mut groups: Vec<GroupId> = Vec::new();
    for row in rows.iter().filter(|row| candidates.len() <= REFRESHED_MAX && candidates.contains(&row.candidate.id)) {
        groups.extend(row.group.filter(|group| !groups.contains(group)));
    }
    let waiting = |group| Some((group, store.count_undecided_of_group(group, by.only()).ok()?));
    groups.into_iter().filter_map(waiting).filter(|(_, count)| *count > 0).collect()
}

impl Annotator {
    /// Returns the annotator's name in a blind review, where only their own verdicts count.
    pub fn only(&self) -> Option<&str> {
        self.blind.then_some(self.name.as_str())
    }

    /// Returns the row as this annotator may see it.
    pub fn sees(&self, row: CandidateRow) -> CandidateRow {
        if self.blind { row.seen_by(&self.name) } else { row }
    }
}

fn changed_by(store: &Store, gesture: &Gesture) -> Result<Vec<CandidateRow>, StoreError> {
    let candidates = &gesture.candidates;
    if candidates.len() > REFRESHED_MAX {
        // A face that is added or removed changes its neighbours too: too much to reload.
        let is_brought_back =
            gesture.action != GestureAction::Decide && !gesture.verdict.is_some_and(Verdict::has_class);
        let is_read = is_brought_back && candidates.len() <= RELOADED_MAX;
        return if is_read { store.candidate_rows(candidates) } else { Ok(Vec::new()) };
    }
    let mut images = gesture.images.clone();
    images.truncate(REFRESHED_MAX);
    for candidate in candidates {
        let image = store.candidate(*candidate)?.image;
        if !images.contains(&image) {
            images.push(image);
        }
    }
    let mut changed = Vec::new();
    for image in images {
        changed.extend(store.candidates_of_image(image)?.into_iter().map(|candidate| candidate.id));
    }
    store.candidate_rows(&changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FalsePositiveKind;
    use crate::geometry::BoundingBox;
    use crate::store::{Interval, NewCandidate, NewDataset, NewImage};

    /// A hundred candidates on one image; the first three form a group.
    fn project(dir: &std::path::Path) -> Store {
        let mut store = Store::create(&dir.join("quarry.db")).unwrap();
        let (path, content_hash) = ("one.jpg".into(), "hash".to_owned());
        let image = NewImage {
            name: "one".to_owned(),
            path,
            content_hash,
            width: 640,
            height: 480,
            split: None,
            objects: Vec::new(),
        };
        let (name, kind, root) = ("Small".to_owned(), "folder".to_owned(), PathBuf::from("/photos"));
        store
            .add_dataset(&NewDataset { name, kind, root, classes: vec!["face".to_owned()], images: vec![image] })
            .unwrap();
        let image = store.images().unwrap()[0].id;
        let round = store.start_round("").unwrap().id;
        let new = |k: u32| NewCandidate {
            image,
            class: ClassId::ONLY,
            bbox: BoundingBox::from_xywh(f64::from(k), 0.0, 20.0, 20.0),
            score: 1.0 - k as f32 / 100.0,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
        };
        store.replace_candidates(round, &[image], &(0..100).map(new).collect::<Vec<_>>()).unwrap();
        let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
        store.set_groups(&[ids[..3].to_vec()]).unwrap();
        store
    }

    fn written(store: &mut Store, request: WriteRequest) -> Written {
        match write(store, request).unwrap() {
            WriteReply::Verdict(written) => *written,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_query_is_decided_as_one_gesture_and_taken_back_as_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = project(dir.path());
        let by = Annotator { name: "Ada".to_owned(), blind: false };
        let query = CandidateQuery { score: Interval::new(0.105, 1.0), collapse: false, ..CandidateQuery::default() };
        let (verdict, reason) = (Verdict::Confirmed, None);
        let request =
            WriteRequest::DecideQuery { query: Box::new(query), verdict, class: None, reason, by: by.clone() };
        let done = written(&mut store, request.clone());
        assert_eq!(done.gesture.map(|gesture| gesture.candidates.len()), Some(90));
        assert_eq!(store.verdict_counts(None).unwrap().confirmed, 90);
        assert_eq!(written(&mut store, request).gesture, None, "it finds nothing any more");
        let undone = written(&mut store, WriteRequest::Undo { by });
        assert_eq!(undone.gesture.map(|gesture| gesture.candidates.len()), Some(90));
        assert_eq!(store.verdict_counts(None).unwrap().undecided, 100);
    }

    #[test]
    fn a_decision_on_one_of_a_group_tells_how_many_of_it_wait() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = project(dir.path());
        let ids = store.group_members(GroupId(1)).unwrap();
        let decide = |name: &str, blind| WriteRequest::Decide {
            candidates: ids[..1].to_vec(),
            groups: Vec::new(),
            verdict: Verdict::Rejected,
            class: None,
            reason: None,
            by: Annotator { name: name.to_owned(), blind },
        };
        assert_eq!(written(&mut store, decide("Ada", false)).waiting, [(GroupId(1), 2)]);
        store.record_verdicts(&ids[1..2], "Ada", Verdict::Rejected, None, 1).unwrap();
        assert_eq!(written(&mut store, decide("Grace", false)).waiting, [(GroupId(1), 1)]);
        assert_eq!(written(&mut store, decide("Grace", true)).waiting, [(GroupId(1), 2)], "blind: Ada's are not seen");
    }

    #[test]
    fn a_batch_takes_what_waits_of_all_its_groups() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = project(dir.path());
        let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
        store.set_groups(&[ids[..3].to_vec(), ids[10..14].to_vec()]).unwrap();
        // The project's own group was created first.
        let (first, second) = (GroupId(2), GroupId(3));
        let by = Annotator { name: "Ada".to_owned(), blind: false };
        let decide = |candidates: &[CandidateId], groups: &[GroupId]| WriteRequest::Decide {
            candidates: candidates.to_vec(),
            groups: groups.to_vec(),
            verdict: Verdict::Confirmed,
            class: None,
            reason: None,
            by: by.clone(),
        };
        let both = written(&mut store, decide(&[ids[10], ids[0], ids[50]], &[]));
        let mut waiting = both.waiting;
        waiting.sort();
        assert_eq!(waiting, [(first, 2), (second, 3)]);
        let rest = written(&mut store, decide(&[], &[first, second]));
        assert_eq!((rest.gesture.unwrap().candidates.len(), rest.waiting.len()), (5, 0));
        assert_eq!(store.verdict_counts(None).unwrap().confirmed, 8);
    }
}
