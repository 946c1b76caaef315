//! The window. `logic` processes messages from jobs and executes commands; `ui` only renders. No other layer uses egui.

pub mod action;
mod apply;
mod cache_size;
pub mod command;
mod correcting;
mod crashes;
mod damage;
mod datasets;
mod details;
mod dialogs;
mod drain;
mod export;
mod frame;
mod gpu_check;
mod help;
mod icon;
mod image_threads;
mod images;
mod key_queue;
pub mod keymap;
mod keys;
mod leaving;
mod memory;
mod messages;
mod offer_setup;
pub mod options;
mod others;
mod picking;
mod places;
mod round_jobs;
mod screen;
mod session;
mod settings;
mod start_up;
mod status_bar;
mod textures;
mod theme;
mod top_bar;
pub mod views;
mod widgets;
mod work;

pub use offer_setup::offer_setup;
pub use start_up::{AppError, run, run_demo};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui::Context;

use action::Scope;
use cache_size::CacheSize;
use command::{Command, Screen};
use dialogs::Dialogs;
use gpu_check::GpuCheck;
use keymap::Keymap;
use keys::{KeyReader, Reading};
use leaving::Leaving;
use messages::Messages;
use options::Options;
use session::Session;
use textures::Textures;
use views::curves::CurvesModel;
use views::images::ImagesModel;
use views::palette::PaletteModel;
use views::review::ReviewModel;
use views::review::crop_key;
use views::settings::SettingsModel;
use views::start::StartModel;
use views::train::TrainModel;
use widgets::viewport::Viewport;

use crate::domain::{CandidateId, ImageId};
use crate::jobs::{JobBoard, JobKind, Waker};
use crate::workflow::WorkEvent;

/// Maximum time per frame for handling messages.
const DRAIN_BUDGET: Duration = Duration::from_millis(5);

/// The whole state of the window.
pub struct QuarryApp {
    options: Options,
    keys: KeyReader,
    screen: Screen,
    help_open: bool,
    palette: Option<PaletteModel>,
    settings: SettingsModel,
    /// The file for changed keys.
    keys_file: Option<PathBuf>,
    memory: memory::Memory,
    session: Option<Session>,
    start: StartModel,
    review: ReviewModel<Command>,
    grid_columns: usize,
    /// Number of fully visible rows in the grid.
    grid_rows: usize,
    grid_visible: usize,
    train: TrainModel,
    curves: CurvesModel,
    images: ImagesModel,
    /// The viewport of the open image.
    viewport: Viewport,
    /// The image that was zoomed or panned in the review.
    last_view: (Option<crate::domain::ImageId>, Viewport),
    jobs: JobBoard<WorkEvent>,
    datasets: datasets::Datasets,
    dialogs: Option<Dialogs>,
    textures: Textures,
    messages: Messages,
    commands: Vec<Command>,
    waker: Waker,
    /// Open the review automatically if the running job leaves candidates.
    review_after_job: bool,
    /// The running job that imports detections: the embeddings of their crops are computed after it.
    embed_after: Option<JobKind>,
    embeddings: BackgroundEmbeddings,
    gpu_check: GpuCheck,
    cache_size: CacheSize,
    /// Close the window once the queued keys are processed.
    is_closing: bool,
    /// The question shown before a running round is stopped.
    leaving: Option<Leaving>,
    /// Places to return to, newest last.
    places: Vec<places::Place>,
    /// Those of the Images screen, which a point of a curve replaced.
    images_places: Vec<places::ImagesPlace>,
    /// What was open when the window was last closed, until it is reopened.
    reopening: Option<options::LastPlace>,
    /// Notes on the project's database, until they are dismissed.
    database_notes: Vec<String>,
    /// Crash reports of earlier sessions, until they are dismissed.
    crash_reports: Vec<PathBuf>,
}

/// Embeddings that the opened project lacks, computed in the background.
#[derive(Default)]
struct BackgroundEmbeddings {
    /// Whether the running grouping job computes them: it may be stopped, as the next grouping or opening resumes it.
    run: bool,
    /// Whether they wait for the running grouping job.
    are_next: bool,
    /// Whether the annotator requested groups meanwhile: grouping starts as soon as the embeddings have stopped.
    give_way: bool,
}

impl QuarryApp {
    /// Creates the window's state; no project is open yet.
    pub fn new(ctx: &Context, options: Options, keymap: Keymap) -> Self {
        theme::apply(ctx);
        theme::choose(ctx, &options);
        let waking = ctx.clone();
        let start = StartModel { annotator: options.annotator.clone(), ..StartModel::default() };
        let mut curves = CurvesModel::default();
        curves.published = export::published();
        Self {
            options,
            keys: KeyReader::install(ctx, keymap),
            screen: Screen::default(),
            help_open: false,
            palette: None,
            settings: SettingsModel::default(),
            keys_file: None,
            memory: memory::Memory::default(),
            session: None,
            start,
            review: ReviewModel::default(),
            grid_columns: 1,
            grid_rows: 1,
            grid_visible: 0,
            train: TrainModel::default(),
            curves,
            images: ImagesModel::default(),
            viewport: Viewport::default(),
            last_view: (None, Viewport::default()),
            jobs: JobBoard::default(),
            datasets: datasets::Datasets::default(),
            dialogs: None,
            textures: Textures::default(),
            messages: Messages::default(),
            commands: Vec::new(),
            waker: Arc::new(move || waking.request_repaint()),
            review_after_job: false,
            embed_after: None,
            embeddings: BackgroundEmbeddings::default(),
            gpu_check: GpuCheck::default(),
            cache_size: CacheSize::default(),
            is_closing: false,
            leaving: None,
            places: Vec::new(),
            images_places: Vec::new(),
            reopening: None,
            database_notes: Vec::new(),
            crash_reports: Vec::new(),
        }
    }

    /// Stores keys changed on the settings screen in this file.
    pub fn keep_keys_in(&mut self, file: PathBuf) {
        self.keys_file = Some(file);
    }

    /// Queues a command, as a screen does.
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Returns the queue's candidate whose decoded crop is ready to show.
    pub fn shown_crop(&self) -> Option<CandidateId> {
        let row = self.review.current().filter(|row| self.textures.holds(&crop_key(row)))?;
        Some(row.candidate.id)
    }

    /// Returns the image on the screen, the image position at the canvas centre and points per pixel; `None` while the whole image is
    /// shown.
    pub fn close_up(&self) -> Option<(ImageId, (f64, f64), f64)> {
        let (image, viewport) = match self.screen {
            Screen::Review => {
                let (image, viewport) = self.last_view;
                let is_shown = |image: &ImageId| self.review.current().is_some_and(|row| row.candidate.image == *image);
                (image.filter(is_shown)?, viewport)
            }
            Screen::Images => {
                let image = self.images.current().filter(|_| self.images.open.is_some())?;
                (image.record.id, self.viewport)
            }
            _ => return None,
        };
        viewport.close_up().map(|(center, scale)| (image, center, scale))
    }

    /// Runs one frame without painting: messages, keys, commands, image requests.
    pub fn tick(&mut self, ctx: &Context) {
        theme::enter(ctx);
        self.drain(ctx);
        self.reopen(ctx);
        self.take_recorded();
        if self.keys.take_closes_log() {
            self.toggle_log(ctx);
        }
        // Ctrl with plus and minus changes it too.
        self.options.scale = ctx.zoom_factor();
        self.memory.tick();
        self.commands.extend(self.keys.take().into_iter().map(Command::Key));
        for command in std::mem::take(&mut self.commands) {
            self.apply(command, ctx);
        }
        self.work_through_queue(ctx);
        self.ask_for_more(ctx);
        self.ask_for_images();
        self.gpu_check.tick(ctx, &self.waker);
        self.cache_size.tick(self.screen == Screen::Settings, &self.waker);
        self.tick_messages(ctx);
        self.hold_close(ctx);
        let filter_open = match self.screen {
            Screen::Review => self.review.filter_open,
            Screen::Images => self.images.filter_open,
            _ => false,
        };
        self.keys.listen(self.scope(), filter_open, self.messages.is_log_open(), self.reading());
    }

    /// Returns how keys that are not actions are interpreted.
    fn reading(&self) -> Reading {
        if self.settings.recording.is_some() && self.screen == Screen::Settings {
            Reading::Record
        } else if self.palette.is_some() {
            Reading::Text
        } else {
            Reading::Actions
        }
    }

    fn scope(&self) -> Scope {
        match self.screen {
            _ if self.help_open || self.palette.is_some() || self.leaving.is_some() || self.session.is_none() => {
                Scope::Everywhere
            }
            Screen::Review if self.review.adjusting.is_some() => Scope::Adjust,
            Screen::Review => Scope::Review,
            Screen::Images => Scope::Images,
            _ => Scope::Everywhere,
        }
    }
}
