//! The model of a detection run: a checkpoint of Quarry or a third-party model.

use std::path::PathBuf;

use super::file::{Header, ImageLine, Work, detection_text};
use super::foreign::{ForeignModel, labelled};
use super::growing::{Grown, ToGrow, grow};
use super::identity::identity;
use super::pipeline::{Checkpoint, OfImage, Task};
use super::{DetectRequest, Shard, detector_of};
use crate::detector::{Detector, FoundObject, LabelledDetection};
use crate::domain::{Cancel, ClassId, Detection};
use crate::workflow::{Observer, WorkflowError};

/// A loaded model.
pub(in crate::workflow) enum AnyModel {
    Own { checkpoint: PathBuf, detector: Box<Detector> },
    Foreign { path: PathBuf, model: Box<ForeignModel> },
}

impl AnyModel {
    pub fn of(request: &DetectRequest, observer: &mut Observer) -> Result<Self, WorkflowError> {
        let Some(model) = ForeignModel::at(&request.checkpoint, &request.device)? else {
            let (checkpoint, detector) = detector_of(request, observer)?;
            return Ok(Self::Own { checkpoint, detector: Box::new(detector) });
        };
        refuse_settings_of_checkpoints(request)?;
        // Its classes are known from here on.
        model.probe()?;
        Ok(Self::Foreign { path: request.checkpoint.clone(), model: Box::new(model) })
    }

    pub fn path(&self) -> &PathBuf {
        match self {
            Self::Own { checkpoint: path, .. } | Self::Foreign { path, .. } => path,
        }
    }

    pub fn classes(&self) -> Vec<String> {
        match self {
            Self::Own { detector, .. } => detector.config().class_names(),
            Self::Foreign { model, .. } => model.classes(),
        }
    }

    /// Returns the first line of a detections file. `list`: the fingerprint of the image names, and their number.
    pub fn header(&self, shard: Shard, list: (String, usize)) -> Result<Header, WorkflowError> {
        let header =
            |identity| Header { classes: self.classes(), ..Header::new(Work::Detect, shard, identity, list.0, list.1) };
        Ok(match self {
            Self::Own { checkpoint, detector } => Header {
                ellipses: detector.config().ellipse_head,
                precision: detector.config().precision,
                ..header(identity(checkpoint, detector.config())?)
            },
            Self::Foreign { path, model } => header(model.identity(path)?),
        })
    }

    /// Detects on the task's images; `name` returns an image's index among those of all shards, and its name.
    pub fn grow<'a>(
        &self,
        task: &Task<'_>,
        to: &ToGrow<'_>,
        name: &dyn Fn(usize) -> (usize, &'a str),
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<Grown, WorkflowError> {
        match self {
            Self::Own { detector, .. } => {
                let line =
                    |of_image: OfImage<_>| line(name(of_image.place), &of_image, |found: &FoundObject| found.object);
                grow(&Checkpoint::new(detector), task, to, line, observer, cancel)
            }
            Self::Foreign { model, .. } => {
                let line = |of_image: OfImage<_>| line(name(of_image.place), &of_image, labelled);
                grow(&**model, task, to, line, observer, cancel)
            }
        }
    }
}

fn line<T>(
    (place, name): (usize, &str),
    of_image: &OfImage<T>,
    labelled: impl Fn(&T) -> LabelledDetection,
) -> ImageLine {
    let text = |found: &T| {
        let LabelledDetection { detection, label } = labelled(found);
        detection_text(&Detection { class: ClassId(label), ..detection })
    };
    ImageLine {
        place: place as u64,
        name: Some(name.to_owned()),
        image: of_image.content_hash.clone(),
        detections: of_image.found.as_ref().map(|found| found.iter().map(text).collect()),
        features: Vec::new(),
    }
}

/// Settings for Quarry's checkpoints do not apply to third-party models.
fn refuse_settings_of_checkpoints(request: &DetectRequest) -> Result<(), WorkflowError> {
    let unfit = match request {
        DetectRequest { ellipses: true, .. } => "--shape ellipse",
        DetectRequest { scale: Some(_), .. } => "--scale",
        DetectRequest { precision: Some(_), .. } => "--precision",
        _ => return Ok(()),
    };
    Err(WorkflowError::Refused(format!(
        "{}: {unfit} is for Quarry's own checkpoints. Omit it; this model's input size is set in its model.toml (input.size).",
        request.checkpoint.display()
    )))
}
