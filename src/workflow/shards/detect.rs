//! Detects on a shard of an image list and writes a file, without a project.

use std::path::PathBuf;

use super::mine::{Ready, placed, ready};
use super::{Shard, ShardReport};
use crate::domain::{Cancel, Output, Sources};
use crate::workflow::detect::{
    AnyModel, DetectRequest, ImageLine, Task, ToGrow, fingerprint, images_of, images_root, is_of_these_bytes,
    output_policy,
};
use crate::workflow::{Observer, WorkflowError};

/// Detects on the shard's images of a list or folder and writes a file in the request's output folder. A complete file of the same work is
/// kept; an interrupted one is continued.
pub fn detect_shard(
    request: &DetectRequest,
    shard: Shard,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardReport, WorkflowError> {
    let all = images_of(request, observer, cancel)?;
    let policy = output_policy(request).listed_images(all.iter().map(|(_, file)| file));
    let name = shard.file_name("detections");
    // Whether an existing file may be replaced is known once the model is loaded.
    policy.check_folder(&Output::new(&request.out.path, true), [name.as_str()])?;
    let model = AnyModel::of(request, observer)?;
    let list = (fingerprint(all.iter().map(|(name, _)| name.as_str())), all.len());
    let header = model.header(shard, list)?;
    let out = match ready(&policy, &request.out, &name, &header)? {
        Ready::Done(report) => return Ok(report),
        Ready::ToWrite(out) => out,
    };
    let places: Vec<usize> = (0..all.len()).filter(|place| shard.holds(*place)).collect();
    let files: Vec<PathBuf> = places.iter().map(|&place| all[place].1.clone()).collect();
    let sources = Sources::new(images_root(request), files.iter().map(PathBuf::as_path));
    let what = format!("Detecting on shard {shard}");
    let task = Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: &what, done_before: 0 };
    let name = |place: usize| (places[place], all[places[place]].0.as_str());
    let holds = |place: usize, line: &ImageLine| {
        let (in_list, name) = name(place);
        let is_same = line.place == in_list as u64 && line.name.as_deref() == Some(name);
        Ok(is_same && is_of_these_bytes(&files[place], line))
    };
    let to = ToGrow { header: &header, out: &out, holds: &holds, needs_most: true };
    let grown = model.grow(&task, &to, &name, observer, cancel)?;
    placed(grown, &header, &out, observer)
}
