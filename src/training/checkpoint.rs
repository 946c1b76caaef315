//! Checkpoints on disk. A folder `checkpoints/step-<n>` is either complete or missing: it is written under a temporary name, synced and
//! renamed.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::config::RoundConfig;
use super::error::TrainingError;
use super::loader::TrainingImage;
use super::mined::MinedImages;
use super::progress::{FILES, MINED_FILE, MODEL_FILE, RoundProgress, STATE_FILE, STATE_VERSION};
use crate::detector::{CHECKSUMS_FILE, checksums_of, verify_bytes};
use crate::domain::{InputError, limits, make_folder, read_text_bytes, read_weights, write_whole};

const MARKS_FILE: &str = "marks.json";
const FOLDER: &str = "checkpoints";
/// Prefix of a folder being written; at the start of a session, such a folder was left by an interrupted one.
const UNFINISHED: &str = ".unfinished-";
/// Prefix of a checkpoint that was found damaged and skipped.
const DAMAGED: &str = "damaged-";

/// Metadata of finished checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// The last step that was evaluated.
    pub evaluated: Option<u64>,
    /// The best evaluated step and its score.
    pub best: Option<(u64, f64)>,
}

impl Marks {
    /// Drops the entries of later steps, which are repeated.
    pub fn up_to(self, step: u64) -> Self {
        let best = self.best.filter(|(best, _)| *best <= step);
        Self { evaluated: self.evaluated.filter(|evaluated| *evaluated <= step), best }
    }
}

/// The checkpoints of one round.
#[derive(Debug, Clone)]
pub(super) struct Checkpoints {
    dir: PathBuf,
}

impl Checkpoints {
    /// Creates the folder and removes unfinished checkpoints of earlier sessions.
    pub fn open(run_dir: &Path) -> Result<Self, TrainingError> {
        let dir = run_dir.join(FOLDER);
        make_folder(&dir).map_err(TrainingError::io(&dir, "making the folder of checkpoints"))?;
        let entries = fs::read_dir(&dir).map_err(TrainingError::io(&dir, "reading the folder of checkpoints"))?;
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED)) {
            fs::remove_dir_all(entry.path())
                .map_err(TrainingError::io(&entry.path(), "removing an unfinished checkpoint"))?;
        }
        Ok(Self { dir })
    }

    pub fn path(&self, step: u64) -> PathBuf {
        self.dir.join(folder_name(step))
    }

    /// Steps with a complete checkpoint, ascending.
    pub fn steps(&self) -> Vec<u64> {
        steps_in(&self.dir)
    }

    /// Writes a checkpoint; `fill` writes weights and velocities into the given folder.
    pub fn write(
        &self,
        progress: &RoundProgress,
        fill: impl FnOnce(&Path) -> Result<(), TrainingError>,
    ) -> Result<PathBuf, TrainingError> {
        let unfinished = self.dir.join(format!("{UNFINISHED}{}", progress.step));
        let target = self.path(progress.step);
        let result = self.write_in(&unfinished, &target, progress, fill);
        if result.is_err() {
            // The first error is the one to report; leftovers are removed at the next start.
            let _ = fs::remove_dir_all(&unfinished);
        }
        result.map(|()| target)
    }

    fn write_in(
        &self,
        unfinished: &Path,
        target: &Path,
        progress: &RoundProgress,
        fill: impl FnOnce(&Path) -> Result<(), TrainingError>,
    ) -> Result<(), TrainingError> {
        make_folder(unfinished).map_err(TrainingError::io(unfinished, "making a checkpoint's folder"))?;
        fill(unfinished)?;
        write_json(&unfinished.join(STATE_FILE), progress)?;
        let files = progress.files();
        let sums = checksums_of(unfinished, &files)?;
        let path = unfinished.join(CHECKSUMS_FILE);
        fs::write(&path, sums).map_err(TrainingError::io(&path, "writing"))?;
        for file in files.iter().chain([&CHECKSUMS_FILE]) {
            sync(&unfinished.join(file))?;
        }
        sync(unfinished)?;
        if target.exists() {
            // The same step after a resume has the same bytes.
            fs::remove_dir_all(target).map_err(TrainingError::io(target, "replacing a checkpoint"))?;
        }
        fs::rename(unfinished, target).map_err(TrainingError::io(target, "finishing a checkpoint"))?;
        sync(&self.dir)
    }

    /// Writes [`MINED_FILE`] into the folder of a checkpoint.
    pub fn write_mined(dir: &Path, mined: &MinedImages) -> Result<(), TrainingError> {
        write_json(&dir.join(MINED_FILE), mined)
    }

    /// Reads what a round had mined by this checkpoint.
    pub fn read_mined(&self, progress: &RoundProgress) -> Result<MinedImages, TrainingError> {
        if progress.mined_at == 0 {
            return Ok(MinedImages::new());
        }
        read_json(&self.path(progress.step).join(MINED_FILE))
    }

    pub fn read(&self, step: u64) -> Result<RoundProgress, TrainingError> {
        let path = self.path(step).join(STATE_FILE);
        let progress: RoundProgress = read_json(&path)?;
        if progress.version != STATE_VERSION {
            let what = format!("it has version {}, this Quarry reads {STATE_VERSION}", progress.version);
            return Err(TrainingError::Checkpoint { path, what });
        }
        if progress.step != step {
            let what = format!("it is the state of step {}, in the folder of step {step}", progress.step);
            return Err(TrainingError::Checkpoint { path, what });
        }
        Ok(progress)
    }

    /// Returns the newest intact step. Newer damaged ones are reported and renamed; if none is intact, nothing is renamed.
    pub fn newest_good(&self, mut tell: impl FnMut(String)) -> Result<Option<u64>, TrainingError> {
        let (good, damaged) = newest_whole(self, &FILES);
        let good = good_or_none(&self.dir, good, &damaged)?;
        for (step, what) in &damaged {
            let (path, aside) = (self.path(*step), self.free_name(*step));
            fs::rename(&path, &aside).map_err(TrainingError::io(&path, "setting a damaged checkpoint aside"))?;
            let resumes = good.map_or_else(String::new, |good| format!(". The round resumes from step {good}"));
            tell(format!(
                "The checkpoint of step {step} is damaged and was renamed to {}: {what}{resumes}",
                aside.display()
            ));
        }
        Ok(good)
    }

    fn free_name(&self, step: u64) -> PathBuf {
        let name = |n: u32| self.dir.join(format!("{DAMAGED}step-{step:07}-{n}"));
        (1..u32::MAX).map(name).find(|path| !path.exists()).unwrap_or_else(|| name(0))
    }

    /// Checks these files of a checkpoint, all with its state among them, against their checksums; the error is the first problem.
    /// Checkpoints of older versions have no checksums: only the completeness of their files is checked.
    fn verify(&self, step: u64, files: &[&str]) -> Result<(), TrainingError> {
        let whole = if files.contains(&STATE_FILE) { self.read(step)?.files() } else { files.to_vec() };
        let dir = self.path(step);
        let has_checksums = dir.join(CHECKSUMS_FILE).is_file();
        for file in whole {
            let path = dir.join(file);
            let bytes = read_weights(&path).map_err(|e| TrainingError::Checkpoint {
                path: path.clone(),
                what: std::io::Error::from(e).to_string(),
            })?;
            verify_bytes(&path, &bytes)?;
            if !has_checksums && file != STATE_FILE {
                SafeTensors::deserialize(&bytes)
                    .map_err(|e| TrainingError::Checkpoint { path, what: format!("the file is damaged ({e})") })?;
            }
        }
        Ok(())
    }

    /// Reads the checkpoints' metadata. If that is impossible, starts empty and returns a warning: the checkpoints themselves are
    /// unaffected.
    pub fn marks(&self) -> Result<(Marks, Option<String>), TrainingError> {
        let path = self.dir.join(MARKS_FILE);
        if !path.exists() {
            return Ok((Marks::default(), None));
        }
        match read_json(&path) {
            Ok(marks) => Ok((marks, None)),
            Err(TrainingError::Checkpoint { path, what }) => {
                let text = format!(
                    "{}: {what}. Which checkpoint was the best is not known any more, so all of them are kept; the weights are not \
                     affected, and the next test rewrites the file",
                    path.display()
                );
                Ok((Marks::default(), Some(text)))
            }
            Err(error) => Err(error),
        }
    }

    pub fn set_marks(&self, marks: Marks) -> Result<(), TrainingError> {
        let path = self.dir.join(MARKS_FILE);
        write_whole(&path, json(&path, &marks)?.as_bytes()).map_err(TrainingError::io(&path, "writing"))
    }

    /// Removes all checkpoints but the last, the best, `others` and every `keep_every`-th one (0: none of those).
    pub fn prune(&self, config: &RoundConfig, best: Option<u64>, others: &[u64]) -> Result<(), TrainingError> {
        let steps = self.steps();
        let last = steps.last().copied();
        let spacing = config.keep_every * config.checkpoint_every;
        let is_marked = |step: u64| Some(step) == last || Some(step) == best || others.contains(&step);
        let kept = |step: u64| is_marked(step) || (spacing > 0 && step.is_multiple_of(spacing));
        for step in steps.into_iter().filter(|&step| !kept(step)) {
            let path = self.path(step);
            fs::remove_dir_all(&path).map_err(TrainingError::io(&path, "removing an old checkpoint"))?;
        }
        Ok(())
    }
}

/// Returns the last checkpoint's weights in a round's folder.
pub fn last_model(run_dir: &Path) -> Option<PathBuf> {
    let dir = run_dir.join(FOLDER);
    let step = steps_in(&dir).last().copied()?;
    Some(Checkpoints { dir }.path(step).join(MODEL_FILE))
}

/// The newest intact weights of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoodModel {
    pub path: PathBuf,
    /// A message for each newer damaged checkpoint.
    pub skipped: Vec<String>,
}

/// Returns the newest intact weights in a round's folder; `None` if there are none. Nothing is renamed.
pub fn last_good_model(run_dir: &Path) -> Result<Option<GoodModel>, TrainingError> {
    let checkpoints = Checkpoints { dir: run_dir.join(FOLDER) };
    let (good, damaged) = newest_whole(&checkpoints, &[MODEL_FILE]);
    let Some(step) = good_or_none(&checkpoints.dir, good, &damaged)? else { return Ok(None) };
    let line =
        |(step, what): (u64, String)| format!("The checkpoint of step {step} is damaged and was skipped: {what}");
    let path = checkpoints.path(step).join(MODEL_FILE);
    Ok(Some(GoodModel { path, skipped: damaged.into_iter().map(line).collect() }))
}

/// Returns the newest step whose `files` are intact, and the newer ones with what is wrong with them.
fn newest_whole(checkpoints: &Checkpoints, files: &[&str]) -> (Option<u64>, Vec<(u64, String)>) {
    let mut damaged = Vec::new();
    for step in checkpoints.steps().into_iter().rev() {
        match checkpoints.verify(step, files) {
            Ok(()) => return (Some(step), damaged),
            Err(error) => damaged.push((step, error.to_string())),
        }
    }
    (None, damaged)
}

fn good_or_none(dir: &Path, good: Option<u64>, damaged: &[(u64, String)]) -> Result<Option<u64>, TrainingError> {
    match (good, damaged.first()) {
        (None, Some((step, what))) => Err(TrainingError::Checkpoint {
            path: dir.to_path_buf(),
            what: format!(
                "none of its {} checkpoints is intact; the newest, of step {step}: {what}. All are kept: copy one from a backup, or start a \
                 new round",
                damaged.len()
            ),
        }),
        _ => Ok(good),
    }
}

/// Returns the best evaluated checkpoint's weights, if an evaluation gave a score.
pub fn best_model(run_dir: &Path) -> Option<PathBuf> {
    let checkpoints = Checkpoints { dir: run_dir.join(FOLDER) };
    let (step, _) = checkpoints.marks().ok()?.0.best?;
    Some(checkpoints.path(step).join(MODEL_FILE)).filter(|path| path.exists())
}

/// Hashes everything that the round trains on with blake3: file names, objects, hard negatives, ignored regions, in order. Folders are
/// excluded, so that a dataset may move.
pub(super) fn fingerprint(images: &[TrainingImage]) -> String {
    let mut hasher = blake3::Hasher::new();
    for image in images {
        let name = image.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let facts =
            format!("{}\0{name}\0{:?}\0{:?}\0{:?}\n", image.id, image.faces, image.hard_negatives, image.ignored);
        hasher.update(facts.as_bytes());
        // Omitted with a single class, to match rounds from before multi-class support.
        if image.labels.iter().any(|label| *label != 1) || !image.misclassified.is_empty() {
            hasher.update(format!("{:?}\0{:?}\n", image.labels, image.misclassified).as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn folder_name(step: u64) -> String {
    format!("step-{step:07}")
}

fn steps_in(dir: &Path) -> Vec<u64> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let step_of = |name: &str| name.strip_prefix("step-")?.parse().ok().filter(|step| folder_name(*step) == name);
    let mut steps: Vec<u64> = entries.filter_map(|entry| step_of(entry.file_name().to_str()?)).collect();
    steps.sort_unstable();
    steps
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainingError> {
    fs::write(path, json(path, value)?).map_err(TrainingError::io(path, "writing"))
}

fn json(path: &Path, value: &impl Serialize) -> Result<String, TrainingError> {
    serde_json::to_string_pretty(value)
        .map_err(|error| TrainingError::Checkpoint { path: path.to_path_buf(), what: error.to_string() })
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainingError> {
    let damaged = |why: &dyn std::fmt::Display| TrainingError::Checkpoint {
        path: path.to_path_buf(),
        what: format!("the file is damaged ({why})"),
    };
    let bytes = match read_text_bytes(path, limits::TEXT) {
        Ok(bytes) => bytes,
        Err(InputError::NotText { at, .. }) => return Err(damaged(&format!("byte {at} is NUL"))),
        Err(InputError::Utf16 { .. }) => return Err(damaged(&"it is UTF-16")),
        Err(error) => return Err(TrainingError::io(path, "reading")(error.into())),
    };
    serde_json::from_slice(&bytes).map_err(|error| damaged(&error))
}

#[expect(clippy::disallowed_methods, reason = "files and folders of its own are synced, not read")]
fn sync(path: &Path) -> Result<(), TrainingError> {
    // Windows cannot open folders; a rename has to suffice there.
    if cfg!(windows) && path.is_dir() {
        return Ok(());
    }
    File::open(path).and_then(|file| file.sync_all()).map_err(TrainingError::io(path, "syncing to disk"))
}

#[cfg(test)]
mod tests {
    use super::super::progress::OPTIMISER_FILE;
    use super::*;

    fn fill(dir: &Path) -> Result<(), TrainingError> {
        fs::write(dir.join(MODEL_FILE), "m").map_err(TrainingError::io(dir, "writing"))?;
        fs::write(dir.join(OPTIMISER_FILE), "o").map_err(TrainingError::io(dir, "writing"))
    }

    fn at(step: u64, config: &RoundConfig) -> RoundProgress {
        RoundProgress { step, position: step * 2, ..RoundProgress::start(config, "data".to_owned()) }
    }

    #[test]
    fn checkpoints_are_whole_or_absent_and_old_ones_go() {
        let run = tempfile::tempdir().unwrap();
        let mut config = RoundConfig::preset("cpu").unwrap();
        (config.checkpoint_every, config.keep_every) = (10, 3);
        let checkpoints = Checkpoints::open(run.path()).unwrap();
        for step in [10, 20, 30, 40, 50] {
            checkpoints.write(&at(step, &config), fill).unwrap();
        }
        checkpoints.prune(&config, Some(20), &[]).unwrap();
        assert_eq!(checkpoints.steps(), [20, 30, 50], "best, third and last");
        assert_eq!(checkpoints.read(30).unwrap(), at(30, &config));

        let failed = checkpoints.write(&at(60, &config), |_| Err(TrainingError::NoImages));
        assert!(failed.is_err());
        fs::create_dir(run.path().join(FOLDER).join(format!("{UNFINISHED}70"))).unwrap();
        let reopened = Checkpoints::open(run.path()).unwrap();
        assert_eq!(reopened.steps(), [20, 30, 50]);
        assert!(last_model(run.path()).unwrap().ends_with("step-0000050/model.safetensors"));
        assert_eq!(fs::read_dir(run.path().join(FOLDER)).unwrap().count(), 3, "nothing half written is left");

        assert_eq!(best_model(run.path()), None);
        reopened.set_marks(Marks { evaluated: Some(50), best: Some((20, 0.7)) }).unwrap();
        assert!(best_model(run.path()).unwrap().ends_with("step-0000020/model.safetensors"));
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over_and_kept() {
        let run = tempfile::tempdir().unwrap();
        let config = RoundConfig::preset("cpu").unwrap();
        let checkpoints = Checkpoints::open(run.path()).unwrap();
        for step in [10, 20, 30, 40] {
            checkpoints.write(&at(step, &config), fill).unwrap();
        }
        fs::write(checkpoints.path(40).join(MODEL_FILE), "M").unwrap();
        fs::write(checkpoints.path(30).join(STATE_FILE), "{").unwrap();
        fs::write(checkpoints.path(20).join(OPTIMISER_FILE), "O").unwrap();
        let found = last_good_model(run.path()).unwrap().unwrap();
        // Weights are usable without the round's state, which only resuming needs.
        assert!(found.path.ends_with("step-0000030/model.safetensors"), "its weights are whole: {found:?}");
        assert_eq!(found.skipped.len(), 1);
        assert!(found.skipped[0].contains("step 40") && found.skipped[0].contains("checksum"), "{found:?}");

        let mut reports = Vec::new();
        assert_eq!(checkpoints.newest_good(|text| reports.push(text)).unwrap(), Some(10));
        assert_eq!((reports.len(), checkpoints.steps()), (3, vec![10]));
        assert!(
            reports[0].contains("The round resumes from step 10") && reports[0].contains("damaged-step-0000040-1"),
            "{reports:?}"
        );
        assert_eq!(fs::read(run.path().join("checkpoints/damaged-step-0000040-1/model.safetensors")).unwrap(), b"M");
        fs::remove_file(checkpoints.path(10).join(MODEL_FILE)).unwrap();
        let message = last_good_model(run.path()).unwrap_err().to_string();
        assert!(message.contains("none of its 1 checkpoints is intact") && !message.contains("remove"), "{message}");
        assert_eq!(message.matches("model.safetensors").count(), 1, "{message}");
        assert!(checkpoints.newest_good(|text| reports.push(text)).is_err());
        assert_eq!((reports.len(), checkpoints.steps()), (3, vec![10]), "where none is intact, none is renamed");
    }

    #[test]
    fn damaged_marks_cost_no_checkpoint() {
        let run = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(run.path()).unwrap();
        checkpoints.set_marks(Marks { evaluated: Some(50), best: Some((20, 0.7)) }).unwrap();
        for text in [&b""[..], b"{", b"{\"evaluated\": \"x\"}", b"\0\0\0", b"\xff\xfe"] {
            fs::write(run.path().join(FOLDER).join(MARKS_FILE), text).unwrap();
            let (marks, reports) = checkpoints.marks().unwrap();
            let reports = reports.unwrap();
            assert_eq!(marks, Marks::default());
            assert!(
                reports.contains("marks.json") && reports.contains("are kept") && !reports.contains("remove"),
                "{reports}"
            );
        }
    }

    #[test]
    fn other_settings_and_other_data_are_refused_by_name() {
        let config = RoundConfig::preset("cpu").unwrap();
        let progress = at(10, &config);
        let check = |config: &RoundConfig, data: &str| progress.check_continues(Path::new("c"), config, data);
        let free = RoundConfig { workers: 3, checkpoint_every: 7, ..config.clone() };
        check(&free, "data").unwrap();
        check(&RoundConfig { base_lr: 0.5, warmup: 0.2, clip_norm: 1.0, ..config.clone() }, "data").unwrap();
        let mut longer = config.clone();
        longer.lengthen(100);
        check(&longer, "data").unwrap();
        let shorter = RoundConfig { iterations: config.iterations - 1, ..config.clone() };
        let message = check(&shorter, "data").unwrap_err().to_string();
        assert!(message.contains("`iterations` was"), "{message}");
        let other = RoundConfig { momentum: 0.5, ..config.clone() };
        let message = check(&other, "data").unwrap_err().to_string();
        assert!(message.contains("`momentum` was 0.9 and is 0.5"), "{message}");
        let mut preset = config.clone();
        preset.detector.architecture = crate::detector::Architecture::Vgg16;
        let message = check(&preset, "data").unwrap_err().to_string();
        assert!(message.contains("\"resnet50-half-fpn\"") && message.contains("\"vgg16\""), "{message}");
        let message = check(&config, "other").unwrap_err().to_string();
        assert!(message.contains("hard negatives have changed"), "{message}");
    }
}
