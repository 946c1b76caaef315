//! The dataset part of the window: import previews, reports, checks, moved folders, deletion, and dropped files. Each is one background
//! task whose result goes to the window that requested it.

use std::fmt::Write as _;
use std::path::PathBuf;

use egui::Context;

use super::QuarryApp;
use super::command::{Command, CurvesCommand, DatasetCommand, ImportKind, Screen};
use super::views::datasets::{DatasetText, DatasetWindow, DetectionsForm, ModelForm};
use super::work;
use crate::dataset::formats::{ReadOptions, recognise};
use crate::domain::{Cancel, DatasetId, Progress, printable, printable_line};
use crate::jobs::{JobKind, OneShot};
use crate::store::{Dataset, Store};
use crate::workflow::datasets::deletion::{self, Target};
use crate::workflow::datasets::integrity::{IntegrityReport, check, move_to};
use crate::workflow::detections::{DetectionsRequest, ModelPreview, class_samples, import_detections, is_model};
use crate::workflow::import::{ImportFormat, ImportReport, ReadDataset, last_report, preview, read};
use crate::workflow::training_export::{TrainingExport, export_training};
use crate::workflow::{Project, WorkEvent, WorkflowError};

/// A pending background task.
pub(super) enum Waiting {
    Read(PathBuf, OneShot<(Box<ReadDataset>, Box<ImportReport>)>),
    Report(OneShot<DatasetText>),
    /// Changes the project, which is reloaded afterwards.
    Changed(OneShot<DatasetText>),
    Samples(PathBuf, OneShot<Vec<crate::workflow::detections::ClassSample>>),
    Model(PathBuf, OneShot<ModelPreview>),
    /// The result of a dry run with the form's choices.
    Tried(Box<DetectionsForm>, OneShot<String>),
}

/// The window over the Project screen, and its background task.
#[derive(Default)]
pub(super) struct Datasets {
    pub window: DatasetWindow,
    waiting: Option<Waiting>,
}

impl Datasets {
    pub fn progress(&self) -> Option<Progress> {
        match self.waiting.as_ref()? {
            Waiting::Read(_, work) => work.progress(),
            Waiting::Report(work) | Waiting::Changed(work) => work.progress(),
            Waiting::Samples(_, work) => work.progress(),
            Waiting::Model(_, work) => work.progress(),
            Waiting::Tried(_, work) => work.progress(),
        }
    }
}

/// Forwards only the progress of a use case's events.
fn telling(tell: &mut dyn FnMut(Progress)) -> impl FnMut(WorkEvent) {
    move |event| {
        if let WorkEvent::Progress(progress) = event {
            tell(progress);
        }
    }
}

fn dataset_of(store: &Store, id: DatasetId) -> Result<Dataset, WorkflowError> {
    let found = store.datasets()?.into_iter().find(|dataset| dataset.id == id);
    found.ok_or_else(|| WorkflowError::Refused("the dataset is no longer in the project".to_owned()))
}

impl QuarryApp {
    /// Reads a dataset and previews it before anything is written.
    pub(super) fn read_dataset(&mut self, kind: ImportKind, path: PathBuf) {
        let from = path.clone();
        let title = format!("Reading {}", printable(&path.display().to_string()));
        self.begin_dataset(title, true, move |project, waker| {
            let work = OneShot::start(
                "Reading a dataset",
                move |tell, cancel| {
                    let format = match kind {
                        ImportKind::Dataset => ImportFormat::Auto,
                        ImportKind::Folder => ImportFormat::Folder,
                    };
                    let options = ReadOptions::default();
                    let found = read(&project, format, &from, &options, &mut telling(tell), cancel)
                        .and_then(|read| Ok((preview(&project, &read)?, read)));
                    let (report, read) = found.map_err(|error| error.to_string())?;
                    Ok((Box::new(read), Box::new(report)))
                },
                waker,
            );
            Ok(Waiting::Read(path, work?))
        });
    }

    pub(super) fn apply_dataset(&mut self, command: DatasetCommand, _: &Context) {
        match command {
            DatasetCommand::Close => self.datasets = Datasets::default(),
            DatasetCommand::TakeImport => self.take_import(),
            DatasetCommand::ShowReport(id) => self.tell("Import report", move |project, _, _| report_of(project, id)),
            DatasetCommand::Check(id) => self.tell("Checking the files", move |project, tell, cancel| {
                let store = project.open_store_to_read()?;
                let dataset = dataset_of(&store, id)?;
                let report = check(&store, &dataset, false, &mut telling(tell), cancel)?;
                Ok(checked("Checked against the import", &report))
            }),
            DatasetCommand::MoveTo(id, root) => {
                self.change("Looking for the same files", move |project, tell, cancel| {
                    let mut store = project.open_store_now()?;
                    let dataset = dataset_of(&store, id)?;
                    let report = move_to(&mut store, &dataset, &root, false, &mut telling(tell), cancel)?;
                    Ok(checked("The dataset's folder was found", &report))
                });
            }
            DatasetCommand::AskDelete(id) => self.tell("What would be deleted", move |project, _, _| {
                let store = project.open_store_to_read()?;
                let target = Target::Dataset(dataset_of(&store, id)?);
                let report = deletion::preview(project, &store, &target)?;
                let action = Some(("Delete".to_owned(), DatasetCommand::Delete(id)));
                let text = format!("{report}\nA backup of the database is made first.");
                Ok(DatasetText {
                    title: "Delete this dataset from the project?".to_owned(),
                    text,
                    is_problem: false,
                    action,
                })
            }),
            DatasetCommand::Delete(id) => self.change("Deleting", move |project, _, _| {
                let dataset = dataset_of(&project.open_store_to_read()?, id)?;
                let report = deletion::delete(project, &Target::Dataset(dataset), false)?;
                Ok(DatasetText {
                    title: "Deleted".to_owned(),
                    text: report.to_string(),
                    is_problem: false,
                    action: None,
                })
            }),
            DatasetCommand::AskDeleteRound(number) => self.tell("What would be deleted", move |project, _, _| {
                let store = project.open_store_to_read()?;
                let report = deletion::preview(project, &store, &Target::round(&store, number)?)?;
                let action = Some(("Delete".to_owned(), DatasetCommand::DeleteRound(number)));
                let text = format!("{report}\nA backup of the database is made first.");
                Ok(DatasetText {
                    title: format!("Delete round {number} from the project?"),
                    text,
                    is_problem: false,
                    action,
                })
            }),
            DatasetCommand::DeleteRound(number) => self.change("Deleting", move |project, _, _| {
                let target = Target::round(&project.open_store_to_read()?, number)?;
                let report = deletion::delete(project, &target, false)?;
                Ok(DatasetText {
                    title: "Deleted".to_owned(),
                    text: report.to_string(),
                    is_problem: false,
                    action: None,
                })
            }),
            DatasetCommand::ExportTraining(format, out) => {
                self.tell("Exporting for training", move |project, tell, cancel| {
                    let store = project.open_store_to_read()?;
                    let settings = TrainingExport::usual(&store, format)?;
                    let report = export_training(&store, &settings, out, &mut telling(tell), cancel)?;
                    let title = "Exported for training".to_owned();
                    Ok(DatasetText { title, text: report.to_string(), is_problem: false, action: None })
                });
            }
            DatasetCommand::OpenDetections(path) => self.open_detections(path),
            DatasetCommand::SetModelName(name) => {
                if let DatasetWindow::Model(form) = &mut self.datasets.window {
                    form.name.clone_from(&name);
                }
                self.with_form(|form| form.name = name);
            }
            DatasetCommand::OpenModel(path) => self.open_model(path),
            DatasetCommand::SetModelDevice(device) => self.with_model(|form| form.device = device),
            DatasetCommand::SetModelClass(class, Some(of_project)) => self.with_model(|form| {
                form.chosen.insert(class, of_project);
            }),
            DatasetCommand::SetModelClass(class, None) => self.with_model(|form| {
                form.chosen.remove(&class);
            }),
            DatasetCommand::TakeModel => self.take_model(),
            DatasetCommand::SetClass(number, class) => self.with_form(|form| {
                form.chosen.insert(number, class);
            }),
            DatasetCommand::PreviewDetections => self.try_detections(),
            DatasetCommand::TakeDetections => self.take_detections(),
        }
    }

    /// Handles dropped files and folders: opens a project, or previews a dataset, a detector's results or a model.
    pub(super) fn dropped(&mut self, paths: Vec<PathBuf>) {
        // On the Curves screen files are curves: one drop, one meaning.
        if self.screen == Screen::Curves && self.session.is_some() && paths.iter().all(|path| is_roc(path)) {
            for path in paths {
                self.push(Command::Curves(CurvesCommand::ReadRoc(path, None)));
            }
            return;
        }
        let count = paths.len();
        let Some(path) = paths.into_iter().next() else { return };
        if count > 1 {
            self.say("One at a time: only the first dropped item is opened");
        }
        let project = if path.file_name().is_some_and(|name| name == "quarry.db") {
            path.parent().map(std::path::Path::to_path_buf)
        } else {
            Some(path.clone()).filter(|path| path.join("quarry.db").is_file())
        };
        if let Some(project) = project {
            return self.push(Command::Open(project));
        }
        if self.session.is_none() {
            return self.say_error("Open or make a project first, then drop datasets and detections onto it");
        }
        if is_model(&path) {
            return self.push(Command::Dataset(DatasetCommand::OpenModel(path)));
        }
        let format = recognise(&path).map(|(format, _)| format.name());
        self.push(match format {
            Ok("folder") if path.is_dir() => Command::Import(ImportKind::Folder, path),
            Ok(name) if name != "folder" => Command::Import(ImportKind::Dataset, path),
            _ => Command::Dataset(DatasetCommand::OpenDetections(path)),
        });
    }

    fn with_form(&mut self, change: impl FnOnce(&mut DetectionsForm)) {
        if let DatasetWindow::Detections(form) = &mut self.datasets.window {
            change(form);
            form.said = None;
        }
    }

    fn with_model(&mut self, change: impl FnOnce(&mut ModelForm)) {
        if let DatasetWindow::Model(form) = &mut self.datasets.window {
            change(form);
        }
    }

    fn open_model(&mut self, path: PathBuf) {
        let from = path.clone();
        let title = format!("Trying {}", printable(&path.display().to_string()));
        self.begin_dataset(title, true, move |project, waker| {
            let run = move |tell: &mut dyn FnMut(Progress), cancel: &Cancel| {
                work::look_at_model(&project, &from, &mut telling(tell), cancel)
            };
            Ok(Waiting::Model(path, OneShot::start("Trying a model", run, waker)?))
        });
    }

    fn take_model(&mut self) {
        let (DatasetWindow::Model(form), Some(session)) = (&self.datasets.window, &self.session) else { return };
        let work = work::mine_model(session.project.clone(), form.request());
        if self.start_job(JobKind::Round, work) {
            self.embed_after = Some(JobKind::Round);
            self.datasets = Datasets::default();
        }
    }

    fn begin_dataset(
        &mut self,
        title: String,
        stoppable: bool,
        start: impl FnOnce(Project, crate::jobs::Waker) -> std::io::Result<Waiting>,
    ) {
        let Some(session) = &self.session else { return self.say_error("Open a project first") };
        match start(session.project.clone(), self.waker.clone()) {
            Ok(waiting) => {
                self.datasets.waiting = Some(waiting);
                self.datasets.window = DatasetWindow::Working { title, stoppable };
            }
            Err(error) => self.say_error(format!("A thread cannot be started: {error}")),
        }
    }

    fn tell(
        &mut self,
        title: &str,
        work: impl FnOnce(&Project, &mut dyn FnMut(Progress), &Cancel) -> Result<DatasetText, WorkflowError>
        + Send
        + 'static,
    ) {
        self.begin_dataset(title.to_owned(), true, move |project, waker| {
            let run = move |tell: &mut dyn FnMut(Progress), cancel: &Cancel| {
                work(&project, tell, cancel).map_err(|error| error.to_string())
            };
            Ok(Waiting::Report(OneShot::start("Dataset", run, waker)?))
        });
    }

    fn change(
        &mut self,
        title: &str,
        work: impl FnOnce(&Project, &mut dyn FnMut(Progress), &Cancel) -> Result<DatasetText, WorkflowError>
        + Send
        + 'static,
    ) {
        if self.is_kept_by_a_job() {
            return;
        }
        self.begin_dataset(title.to_owned(), false, move |project, waker| {
            let run = move |tell: &mut dyn FnMut(Progress), cancel: &Cancel| {
                work(&project, tell, cancel).map_err(|error| error.to_string())
            };
            Ok(Waiting::Changed(OneShot::start("Dataset", run, waker)?))
        });
    }

    fn take_import(&mut self) {
        let Some(session) = &self.session else { return };
        let DatasetWindow::Import { read, .. } = std::mem::take(&mut self.datasets.window) else { return };
        let work = work::take(session.project.clone(), read);
        if self.start_job(JobKind::Import, work) {
            self.start.import_path.clear();
        }
    }

    fn open_detections(&mut self, path: PathBuf) {
        let from = path.clone();
        let title = format!("Reading {}", printable(&path.display().to_string()));
        self.begin_dataset(title, true, move |project, waker| {
            let run = move |_: &mut dyn FnMut(Progress), _: &Cancel| {
                let store = project.open_store_to_read().map_err(|error| error.to_string())?;
                class_samples(&store, &DetectionsRequest::new(from, String::new())).map_err(|error| error.to_string())
            };
            Ok(Waiting::Samples(path, OneShot::start("Reading detections", run, waker)?))
        });
    }

    /// Returns the form's request; `None` if no form is open.
    fn form_request(&self) -> Option<DetectionsRequest> {
        let DatasetWindow::Detections(form) = &self.datasets.window else { return None };
        let class_names = form.chosen.clone();
        Some(DetectionsRequest {
            class_names,
            ..DetectionsRequest::new(form.path.clone(), form.name.trim().to_owned())
        })
    }

    fn try_detections(&mut self) {
        let Some(request) = self.form_request() else { return };
        let DatasetWindow::Detections(form) = std::mem::take(&mut self.datasets.window) else { return };
        self.begin_dataset("Trying".to_owned(), true, move |project, waker| {
            let run = move |tell: &mut dyn FnMut(Progress), cancel: &Cancel| {
                let request = DetectionsRequest { dry_run: true, ..request };
                let report = import_detections(&project, &request, &mut telling(tell), cancel);
                report.map(|report| report.to_string()).map_err(|error| error.to_string())
            };
            Ok(Waiting::Tried(form, OneShot::start("Trying detections", run, waker)?))
        });
    }

    fn take_detections(&mut self) {
        let (Some(request), Some(session)) = (self.form_request(), &self.session) else { return };
        let work = work::import_detections(session.project.clone(), Box::new(request));
        if self.start_job(JobKind::Import, work) {
            self.embed_after = Some(JobKind::Import);
            self.datasets = Datasets::default();
        }
    }

    /// Handles results of the pending task.
    pub(super) fn drain_datasets(&mut self, _: &Context) -> bool {
        let Some(waiting) = self.datasets.waiting.take() else { return false };
        let classes = self.overview().map_or_else(Vec::new, |overview| overview.classes.clone());
        let failed = |text: String| {
            DatasetWindow::Text(DatasetText {
                title: "This did not work".to_owned(),
                text,
                is_problem: true,
                action: None,
            })
        };
        let window = match waiting {
            Waiting::Read(path, mut work) => match work.poll() {
                None => return self.still(Waiting::Read(path, work)),
                Some(Ok((read, report))) => DatasetWindow::Import { path, read, report },
                Some(Err(text)) => failed(text),
            },
            Waiting::Report(mut work) => match work.poll() {
                None => return self.still(Waiting::Report(work)),
                Some(text) => text.map_or_else(failed, DatasetWindow::Text),
            },
            Waiting::Changed(mut work) => match work.poll() {
                None => return self.still(Waiting::Changed(work)),
                Some(text) => {
                    if let Some(session) = &mut self.session {
                        session.forget_details();
                    }
                    self.textures.clear();
                    self.reread_review();
                    self.refresh();
                    text.map_or_else(failed, DatasetWindow::Text)
                }
            },
            Waiting::Samples(path, mut work) => match work.poll() {
                None => return self.still(Waiting::Samples(path, work)),
                Some(Ok(samples)) => DatasetWindow::Detections(Box::new(DetectionsForm::new(path, samples, &classes))),
                Some(Err(text)) => failed(text),
            },
            Waiting::Model(path, mut work) => match work.poll() {
                None => return self.still(Waiting::Model(path, work)),
                Some(Ok(look)) => DatasetWindow::Model(Box::new(ModelForm::new(path, look))),
                Some(Err(text)) => failed(text),
            },
            Waiting::Tried(mut form, mut work) => match work.poll() {
                None => return self.still(Waiting::Tried(form, work)),
                Some(said) => {
                    form.said = Some(said);
                    DatasetWindow::Detections(form)
                }
            },
        };
        self.datasets.window = window;
        true
    }

    fn still(&mut self, waiting: Waiting) -> bool {
        self.datasets.waiting = Some(waiting);
        false
    }
}

fn report_of(project: &Project, id: DatasetId) -> Result<DatasetText, WorkflowError> {
    let store = project.open_store_to_read()?;
    let dataset = dataset_of(&store, id)?;
    let title = format!("{}: what its last import found", printable(&dataset.name));
    let text = match last_report(&store, id)? {
        Some((_, report)) => {
            let summary = &report.summary;
            let mut text = report.to_string();
            let missing = summary.missing.iter().map(|name| format!("missing: {}", printable(name)));
            let unreadable = summary
                .unreadable
                .iter()
                .map(|(name, why)| format!("unreadable: {}: {}", printable(name), printable_line(why)));
            let records = summary.bad_records.iter().map(|record| format!("bad record: {record}"));
            for line in missing.chain(unreadable).chain(records).take(2000) {
                text.push('\n');
                text.push_str(&line);
            }
            text
        }
        None => "There is no report: the dataset was imported by an older version.".to_owned(),
    };
    Ok(DatasetText { title, text, is_problem: false, action: None })
}

fn checked(title: &str, report: &IntegrityReport) -> DatasetText {
    if let Some(away) = &report.away {
        return DatasetText { title: title.to_owned(), text: away.clone(), is_problem: true, action: None };
    }
    let mut text = format!("{} of {} images are unchanged since the import.", report.same, report.images);
    let unreadable: Vec<String> = report.unreadable.iter().map(|(name, why)| format!("{name}: {why}")).collect();
    for (what, names) in [("missing", &report.missing), ("changed", &report.changed), ("unreadable", &unreadable)] {
        if !names.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\n\n{} {what}:", names.len());
            for name in names.iter().take(200) {
                let _ = write!(text, "\n  {}", printable_line(name));
            }
        }
    }
    DatasetText { title: title.to_owned(), text, is_problem: !report.is_sound(), action: None }
}

/// Whether something dropped on the Curves screen is read as a curve: plain text, which folders, models and JSON are not.
fn is_roc(path: &std::path::Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    path.is_file() && matches!(extension.as_deref(), None | Some("txt" | "csv" | "dat" | "roc"))
}
