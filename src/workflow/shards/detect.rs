//! A shard of a list of images -> a file. Needs no project. Must not know how the files are merged.

use std::path::PathBuf;

use super::file::{Header, ImageLine, Work, detection_text, fingerprint};
use super::mine::{Ready, ready, write_shard};
use super::{Shard, ShardReport};
use crate::detector::FoundObject;
use crate::domain::{Cancel, Sources};
use crate::workflow::detect::{
    Checkpoint, DetectRequest, OfImage, Task, detector_of, images_of, images_root, output_policy,
};
use crate::workflow::mine::identity;
use crate::workflow::{Observer, WorkflowError};

/// Detects on the shard's images of a list or folder and writes what is found to a file in the folder that the request names as its
/// output. A file that is there already and whole, of the same work, is left as it is.
pub fn detect_shard(
    request: &DetectRequest,
    shard: Shard,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardReport, WorkflowError> {
    let all = images_of(request, observer, cancel)?;
    let (checkpoint, detector) = detector_of(request, observer)?;
    let identity = identity(&checkpoint, detector.config())?;
    let list = fingerprint(all.iter().map(|(name, _)| name.as_str()));
    let header = Header {
        classes: detector.config().class_names(),
        ellipses: detector.config().ellipse_head,
        precision: detector.config().precision,
        ..Header::new(Work::Detect, shard, identity, list, all.len())
    };
    let policy = output_policy(request).inputs(all.iter().map(|(_, file)| file));
    let out = match ready(&policy, &request.out, &shard.file_name("detections"), &header)? {
        Ready::Done(report) => return Ok(report),
        Ready::ToWrite(out) => out,
    };
    let places: Vec<usize> = (0..all.len()).filter(|place| shard.holds(*place)).collect();
    let files: Vec<PathBuf> = places.iter().map(|&place| all[place].1.clone()).collect();
    let sources = Sources::new(images_root(request), files.iter().map(PathBuf::as_path));
    let what = format!("Detecting on shard {shard}");
    let task = Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: &what, done_before: 0 };
    let line = |of_image: &OfImage<FoundObject>| {
        let place = places[of_image.place];
        let texts = |found: &Vec<FoundObject>| found.iter().map(|f| detection_text(&f.object.detection)).collect();
        ImageLine {
            place: place as u64,
            name: Some(all[place].0.clone()),
            image: of_image.content_hash.clone(),
            detections: of_image.found.as_ref().map(texts),
            features: Vec::new(),
        }
    };
    write_shard(&Checkpoint::new(&detector), &task, (&header, &out), line, observer, cancel)
}
