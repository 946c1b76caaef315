//! The window. `logic` drains what the jobs say and carries commands out; `ui` only shows. The only room that knows egui.

pub mod action;
mod apply;
pub mod command;
mod correcting;
mod crashes;
mod damage;
mod datasets;
mod dialogs;
mod drain;
mod export;
mod frame;
mod gpu_check;
mod help;
mod images;
pub mod keymap;
mod keys;
mod line;
pub mod options;
mod picking;
mod round_jobs;
mod session;
mod start_up;
mod textures;
mod theme;
mod top_bar;
pub mod views;
mod widgets;
mod work;

pub use start_up::{AppError, run, run_demo};

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use egui::Context;
use egui_notify::{Toast, ToastLevel, Toasts};

use action::Scope;
use command::{Command, Screen};
use dialogs::Dialogs;
use gpu_check::GpuCheck;
use keymap::Keymap;
use keys::KeyReader;
use options::Options;
use session::Session;
use textures::Textures;
use views::curves::CurvesModel;
use views::images::ImagesModel;
use views::review::ReviewModel;
use views::review::crop_key;
use views::start::StartModel;
use views::train::TrainModel;
use widgets::viewport::Viewport;

use crate::domain::{CandidateId, printable_message};
use crate::jobs::{JobBoard, Waker};
use crate::workflow::WorkEvent;

/// Longest time of a frame that goes into taking news in.
const DRAIN_BUDGET: Duration = Duration::from_millis(5);

/// The whole state of the window.
pub struct QuarryApp {
    options: Options,
    keys: KeyReader,
    screen: Screen,
    help_open: bool,
    session: Option<Session>,
    start: StartModel,
    review: ReviewModel<Command>,
    grid_columns: usize,
    grid_visible: usize,
    train: TrainModel,
    curves: CurvesModel,
    images: ImagesModel,
    /// What is seen of the open image.
    viewport: Viewport,
    /// The candidate's image that was zoomed or moved in the review.
    looked_at: (Option<crate::domain::ImageId>, Viewport),
    jobs: JobBoard<WorkEvent>,
    datasets: datasets::Datasets,
    dialogs: Option<Dialogs>,
    textures: Textures,
    toasts: Toasts,
    commands: Vec<Command>,
    waker: Waker,
    /// The review opens by itself when the running job leaves candidates behind.
    review_after_job: bool,
    gpu_check: GpuCheck,
    /// The window is to close when the keys in line are done.
    is_closing: bool,
    /// What the user should know of the project's database, until it is dismissed.
    database_notes: Vec<String>,
    /// Crash reports of earlier sessions, until they are dismissed.
    crash_reports: Vec<PathBuf>,
}

impl QuarryApp {
    /// Sets the window's state up; nothing is opened yet.
    pub fn new(ctx: &Context, options: Options, keymap: Keymap) -> Self {
        theme::apply(ctx);
        let waking = ctx.clone();
        let start = StartModel { annotator: options.annotator.clone(), ..StartModel::default() };
        let mut curves = CurvesModel::default();
        curves.published = export::published();
        Self {
            options,
            keys: KeyReader::install(ctx, keymap),
            screen: Screen::default(),
            help_open: false,
            session: None,
            start,
            review: ReviewModel::default(),
            grid_columns: 1,
            grid_visible: 0,
            train: TrainModel::default(),
            curves,
            images: ImagesModel::default(),
            viewport: Viewport::default(),
            looked_at: (None, Viewport::default()),
            jobs: JobBoard::default(),
            datasets: datasets::Datasets::default(),
            dialogs: None,
            textures: Textures::default(),
            toasts: Toasts::default(),
            commands: Vec::new(),
            waker: Arc::new(move || waking.request_repaint()),
            review_after_job: false,
            gpu_check: GpuCheck::default(),
            is_closing: false,
            database_notes: Vec::new(),
            crash_reports: Vec::new(),
        }
    }

    /// Puts a command in line, as a screen does.
    pub fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// The candidate of the queue whose decoded crop is there to be shown.
    pub fn shown_crop(&self) -> Option<CandidateId> {
        let row = self.review.current().filter(|row| self.textures.holds(&crop_key(row)))?;
        Some(row.candidate.id)
    }

    /// One frame without painting: news, keys, commands, wishes.
    pub fn tick(&mut self, ctx: &Context) {
        self.drain(ctx);
        self.commands.extend(self.keys.take().into_iter().map(Command::Key));
        for command in std::mem::take(&mut self.commands) {
            self.apply(command, ctx);
        }
        self.work_through_line(ctx);
        self.ask_for_more(ctx);
        self.ask_for_images();
        self.gpu_check.tick(ctx, &self.waker);
        self.hold_close(ctx);
        let filter_open = match self.screen {
            Screen::Review => self.review.filter_open,
            Screen::Images => self.images.filter_open,
            _ => false,
        };
        self.keys.listen(self.scope(), filter_open);
    }

    fn scope(&self) -> Scope {
        match self.screen {
            _ if self.help_open || self.session.is_none() => Scope::Everywhere,
            Screen::Review if self.review.adjusting.is_some() => Scope::Adjust,
            Screen::Review => Scope::Review,
            Screen::Images => Scope::Images,
            _ => Scope::Everywhere,
        }
    }

    fn say_error(&mut self, text: impl Into<String>) {
        let text = printable_message(&text.into()).into_owned();
        tracing::error!("{text}");
        self.toast(text, "!", theme::ERROR, 12);
    }

    fn say(&mut self, text: impl Into<String>) {
        self.toast(printable_message(&text.into()).into_owned(), "i", theme::ACCENT, 5);
    }

    /// The icons of `egui_notify` are not in the window's font.
    fn toast(&mut self, text: String, icon: &str, color: egui::Color32, seconds: u64) {
        let level = ToastLevel::Custom(icon.to_owned(), color);
        let mut toast = Toast::custom(text, level);
        toast.duration(Duration::from_secs(seconds)).width(420.0).closable(false);
        self.toasts.add(toast);
    }
}
