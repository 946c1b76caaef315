//! Mines a shard of a project's images with a third-party model and writes a file, and merges such files. A shard only reads the project;
//! the round is created by the first merge.

use std::path::PathBuf;

use super::mine::{Ready, placed, ready};
use super::{Shard, ShardReport};
use crate::domain::{Cancel, ClassId, Detection, ImageRecord, Output};
use crate::models::ModelDetection;
use crate::store::Store;
use crate::workflow::detect::{
    Header, ImageLine, ModelHeader, OfImage, Task, ToGrow, Work, detection_text, fingerprint, grow, labelled,
};
use crate::workflow::detections::{ModelInfo, ModelRequest, ModelRun, load, model_info};
use crate::workflow::image_files::files_of;
use crate::workflow::mine::{Seen, Target};
use crate::workflow::outputs::OutputPolicy;
use crate::workflow::{Observer, Project, WorkflowError};

/// Detects with a third-party model on the shard's images of a project and writes a file in the folder `out`. A complete file of the same
/// work is kept; an interrupted one is continued.
pub fn mine_model_shard(
    project: &Project,
    request: &ModelRequest,
    shard: Shard,
    out: &Output,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardReport, WorkflowError> {
    let model = load(&request.path, &request.device)?;
    let info = model_info(&model, &request.path)?;
    let mut store = project.open_store_to_read()?;
    let run = ModelRun::new(&mut store, request, &info, true)?;
    let header = header(&run, model_header(request, &info), info.classes, shard);
    let policy = OutputPolicy::new().datasets(&store)?.input(&request.path);
    let out = match ready(&policy, out, &shard.file_name(&file_stem(&request.name)), &header)? {
        Ready::Done(report) => return Ok(report),
        Ready::ToWrite(out) => out,
    };
    run.tell(observer);
    let places: Vec<usize> = (0..run.images().len()).filter(|place| shard.holds(*place)).collect();
    let images: Vec<ImageRecord> = places.iter().map(|&place| run.images()[place].clone()).collect();
    let (files, sources) = files_of(&store, images.iter().map(|image| image.id))?;
    drop(store);
    let what = format!("Detecting on shard {shard} of the images");
    let task = Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: &what, done_before: 0 };
    let text = |found: &ModelDetection| {
        let found = labelled(found);
        detection_text(&Detection { class: ClassId(found.label), ..found.detection })
    };
    let line = |of_image: OfImage<ModelDetection>| ImageLine {
        place: places[of_image.place] as u64,
        name: None,
        image: images[of_image.place].content_hash.clone(),
        features: Vec::new(),
        detections: of_image.found.map(|found| found.iter().map(text).collect()),
    };
    let holds = |place: usize, line: &ImageLine| {
        Ok(line.place == places[place] as u64 && line.image == images[place].content_hash)
    };
    let to = ToGrow { header: &header, out: &out, holds: &holds, needs_most: true };
    placed(grow(&model, &task, &to, line, observer, cancel)?, &header, &out, observer)
}

fn model_header(request: &ModelRequest, info: &ModelInfo) -> ModelHeader {
    ModelHeader {
        name: request.name.clone(),
        file: request.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        identity: info.identity.clone(),
        input: info.input.clone(),
        map: request.map.clone(),
        min_score: request.min_score,
        test_splits: request.test_splits.clone(),
        test_dataset: request.test_dataset.clone(),
    }
}

/// Returns the header of a shard of the run.
fn header(run: &ModelRun, model: ModelHeader, classes: Vec<String>, shard: Shard) -> Header {
    let images = fingerprint(run.images().iter().map(|image| image.content_hash.as_str()));
    Header {
        model: Some(model),
        classes,
        ..Header::new(Work::Mine, shard, run.identity().to_owned(), images, run.images().len())
    }
}

/// Converts a model's name to a part of a file name.
fn file_stem(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    format!("model-{}", name.chars().map(plain).collect::<String>())
}

/// Returns the run of the shards with this header in the project's current state, and the header of its shards.
pub(super) fn run_of(
    store: &mut Store,
    found: &Header,
    model: &ModelHeader,
) -> Result<(ModelRun, Header), WorkflowError> {
    let request = ModelRequest {
        path: PathBuf::from(&model.file),
        name: model.name.clone(),
        device: String::new(),
        map: model.map.clone(),
        min_score: model.min_score,
        test_splits: model.test_splits.clone(),
        test_dataset: model.test_dataset.clone(),
    };
    let info =
        ModelInfo { identity: model.identity.clone(), classes: found.classes.clone(), input: model.input.clone() };
    let run = ModelRun::new(store, &request, &info, true)?;
    let of_all = Shard { number: found.shard, of: found.of };
    let expected = header(&run, model.clone(), info.classes, of_all);
    Ok((run, expected))
}

/// Returns the round for the shards: the one that earlier shards were merged into, or the model's next.
pub(super) fn round_of(
    run: &ModelRun,
    store: &mut Store,
    model: &ModelHeader,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Target, WorkflowError> {
    match store.round_mined_with(&model.name, run.identity())? {
        Some(round) => run.target(store, round),
        None => run.start(store, &model.file, observer, cancel),
    }
}

/// Converts a shard's detections, which have the model's labels, for the round.
pub(super) fn seen(run: &mut ModelRun, image: &ImageRecord, found: Vec<Seen>) -> Vec<Seen> {
    let of_model = |(detection, _): Seen| ModelDetection {
        class: usize::try_from(detection.class.0 - 1).unwrap_or(usize::MAX),
        bbox: detection.bbox,
        score: detection.score,
    };
    run.seen(image, found.into_iter().map(of_model).collect())
}
