//! Stores detections as candidates in batches, so that little is lost if the work is interrupted.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::target::Target;
use crate::domain::{Cancel, Detection, ImageId, ImageRecord};
use crate::mining::{count_duplicates, mine_image};
use crate::store::{Fingerprint, MinedCounts, MinedImage, NewCandidate, Resume, Store};
use crate::workflow::classes::LabelMap;
use crate::workflow::detect::Seen;
use crate::workflow::retry::{let_verdicts_go_first, with_retries};
use crate::workflow::{Observer, WorkEvent, WorkflowError};

/// Maximum number of images per batch, which are detected again after an interruption.
const IMAGES_AT_ONCE: usize = 16;
/// Maximum time that images wait for their batch to be stored.
const KEPT_AFTER: Duration = Duration::from_secs(10);
/// Maximum number of rows per transaction, except for a single image's: a verdict waits for its end.
const ROWS_AT_ONCE: usize = 300;

/// Stores the detections on a round's images.
pub(in crate::workflow) struct Intake<'a> {
    target: &'a Target,
    store: &'a mut Store,
    labels: Option<LabelMap>,
    done: HashMap<ImageId, Fingerprint>,
    pending: Vec<MinedImage>,
    kept: Instant,
    cancel: &'a Cancel,
}

impl<'a> Intake<'a> {
    /// Starts or resumes the round's mining. `names`: the detector's label names, if detections have labels instead of the project's
    /// classes.
    pub fn begin(
        target: &'a Target,
        store: &'a mut Store,
        names: Option<&[String]>,
        resume: Resume,
        observer: &mut Observer,
        cancel: &'a Cancel,
    ) -> Result<Self, WorkflowError> {
        let labels = names.map(|names| LabelMap::new(store, names)).transpose()?;
        let tell = |text| observer(WorkEvent::Log(text));
        let done = with_retries(cancel, tell, || store.begin_mining(target.round.id, &target.identity, resume))?;
        Ok(Self { target, store, labels, done, pending: Vec::new(), kept: Instant::now(), cancel })
    }

    /// Whether the image was already stored and neither it nor its annotations have changed since.
    pub fn is_done(&self, image: &ImageRecord) -> bool {
        self.done.get(&image.id).is_some_and(|known| *known == self.target.fingerprint(image))
    }

    /// Adds an image's detections to the current batch.
    pub fn take(&mut self, image: &ImageRecord, found: &[Seen], observer: &mut Observer) -> Result<(), WorkflowError> {
        let mined = self.mined(image, found);
        self.pending.push(mined);
        if self.pending.len() >= IMAGES_AT_ONCE || self.kept.elapsed() > KEPT_AFTER {
            self.keep(observer)?;
        }
        Ok(())
    }

    /// Stores the current batch.
    pub fn keep(&mut self, observer: &mut Observer) -> Result<(), WorkflowError> {
        let (round, pending) = (self.target.round.id, std::mem::take(&mut self.pending));
        let mut rest = &pending[..];
        while !rest.is_empty() {
            let mut rows = 0;
            let fitting = rest.iter().take_while(|mined| {
                rows += mined.rows();
                rows <= ROWS_AT_ONCE
            });
            let (batch, left) = rest.split_at(fitting.count().max(1));
            let tell = |text| observer(WorkEvent::Log(text));
            with_retries(self.cancel, tell, || self.store.put_mined(round, batch))?;
            rest = left;
            let_verdicts_go_first();
        }
        self.kept = Instant::now();
        Ok(())
    }

    /// Marks the round as mined. Returns the totals over all images, including earlier ones.
    pub fn finish(mut self, observer: &mut Observer) -> Result<MinedCounts, WorkflowError> {
        self.keep(observer)?;
        let round = self.target.round.id;
        let tell = |text| observer(WorkEvent::Log(text));
        with_retries(self.cancel, tell, || self.store.end_mining(round))?;
        Ok(self.store.mined_counts(round)?)
    }

    fn mined(&self, image: &ImageRecord, found: &[Seen]) -> MinedImage {
        let mining = &self.target.mining;
        let in_project = |found: &Detection| match &self.labels {
            Some(labels) => labels.in_project(found),
            None => Some(*found),
        };
        let seen: Vec<Seen> =
            found.iter().filter_map(|(found, feature)| Some((in_project(found)?, *feature))).collect();
        let detections: Vec<Detection> = seen.iter().map(|(detection, _)| *detection).collect();
        let fingerprint = self.target.fingerprint(image);
        if self.target.held_out.contains(&image.id) {
            return MinedImage { image: image.id, fingerprint, detections, candidates: Vec::new(), duplicate: 0 };
        }
        let annotations = self.target.annotations(image);
        let candidates = mine_image(&detections, &annotations, mining).into_iter().map(|m| {
            let its_own = seen.iter().find(|(d, _)| d.class == m.class && d.bbox == m.bbox);
            let candidate = NewCandidate {
                image: image.id,
                class: m.class,
                bbox: m.bbox,
                score: m.score,
                max_iou: m.max_iou,
                kind: m.kind,
            };
            (candidate, its_own.and_then(|(_, feature)| *feature))
        });
        MinedImage {
            image: image.id,
            fingerprint,
            candidates: candidates.collect(),
            duplicate: count_duplicates(&detections, &annotations, mining),
            detections,
        }
    }
}
