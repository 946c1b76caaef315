//! The thread that writes verdicts and notes: it owns the project's writing connection and answers when a decision is on the disk. Must not know
//! screens.

use std::path::PathBuf;

use super::{Clerk, Waker};
use crate::domain::{Candidate, CandidateId, FaceShape, RoundId, Verdict};
use crate::store::{CandidateRow, Gesture, Store, StoreError, now_ms};

/// Gestures over more candidates than this do not read their images again; the queue shows the new verdicts from what was asked.
const REFRESHED_MAX: usize = 64;

/// One gesture to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteRequest {
    Decide {
        candidates: Vec<CandidateId>,
        verdict: Verdict,
        reason: Option<String>,
        annotator: String,
    },
    MissedFace {
        candidate: CandidateId,
        shape: FaceShape,
        annotator: String,
    },
    Undo {
        annotator: String,
    },
    Redo {
        annotator: String,
    },
    /// The user's words on a round, in place of those before. No gesture: nothing to undo.
    Notes {
        round: RoundId,
        notes: String,
    },
}

/// What a request did; it is on the disk.
#[derive(Debug, Clone, PartialEq)]
pub enum WriteReply {
    Verdict(Box<Written>),
    Notes(RoundId),
}

/// The gesture is on the disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// `None`: there was nothing to undo or redo.
    pub gesture: Option<Gesture>,
    /// The gesture's candidates and the others of their images, as they stand now.
    pub changed: Vec<Candidate>,
    /// The gesture's first candidate.
    pub row: Option<CandidateRow>,
}

pub type VerdictWriter = Clerk<WriteRequest, WriteReply>;

/// Opens `database` for writing on a thread of its own.
pub fn start_writer(database: PathBuf, waker: Waker) -> std::io::Result<VerdictWriter> {
    let open = move || Store::open(&database).map_err(|e| e.to_string());
    Clerk::start("Verdict writer", open, |store, request| write(store, request).map_err(|e| e.to_string()), waker)
}

fn write(store: &mut Store, request: WriteRequest) -> Result<WriteReply, StoreError> {
    let now = now_ms();
    let gesture = match request {
        WriteRequest::Decide { candidates, verdict, reason, annotator } => {
            Some(store.record_verdicts(&candidates, &annotator, verdict, reason.as_deref(), now)?)
        }
        WriteRequest::MissedFace { candidate, shape, annotator } => {
            Some(store.record_missed_face(candidate, &annotator, shape, None, now)?)
        }
        WriteRequest::Undo { annotator } => store.undo(&annotator, now)?,
        WriteRequest::Redo { annotator } => store.redo(&annotator, now)?,
        WriteRequest::Notes { round, notes } => {
            store.set_round_notes(round, &notes)?;
            return Ok(WriteReply::Notes(round));
        }
    };
    // From here on the gesture is saved: what cannot be read again is left out, it is not a failure to save.
    let candidates = gesture.as_ref().map_or(&[][..], |g| &g.candidates);
    let row = candidates.first().and_then(|c| store.candidate_row(*c).ok());
    let changed = changed_by(store, candidates).unwrap_or_default();
    Ok(WriteReply::Verdict(Box::new(Written { gesture, changed, row })))
}

fn changed_by(store: &Store, candidates: &[CandidateId]) -> Result<Vec<Candidate>, StoreError> {
    let mut images = Vec::new();
    for candidate in candidates.iter().take(REFRESHED_MAX) {
        let image = store.candidate(*candidate)?.image;
        if !images.contains(&image) {
            images.push(image);
        }
    }
    let mut changed = Vec::new();
    for image in images {
        changed.extend(store.candidates_of_image(image)?);
    }
    for candidate in candidates.iter().skip(REFRESHED_MAX) {
        changed.push(store.candidate(*candidate)?);
    }
    Ok(changed)
}
