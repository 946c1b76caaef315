//! Renders the state: top bar, screen, help. Only changes text being typed.

use egui::Ui;

use super::command::{Command, Screen};
use super::views::curves::CurvesView;
use super::views::datasets::DatasetView;
use super::views::images::ImagesView;
use super::views::palette::PaletteView;
use super::views::review::ReviewView;
use super::views::settings::SettingsView;
use super::views::start::{OpenProject, StartView};
use super::views::train::{JobState, TrainView};
use super::{QuarryApp, help, top_bar};
use crate::jobs::{Job, JobKind, Overview};

impl QuarryApp {
    /// Renders one frame of the window.
    pub fn show(&mut self, ui: &mut Ui) {
        super::theme::enter(ui.ctx());
        let mut commands = std::mem::take(&mut self.commands);
        top_bar::show(ui, self, &mut commands);
        super::crashes::show(ui, &self.crash_reports, &mut commands);
        if let Some(damage) = self.session.as_ref().and_then(|session| session.damage.as_ref()) {
            super::damage::show(ui, damage, &mut commands);
        }
        super::damage::show_notes(ui, &self.database_notes, &mut commands);
        super::messages::show_error(ui, &self.messages, &mut commands);
        super::status_bar::show(ui, self, &mut commands);
        match self.screen {
            Screen::Project => self.show_project(ui, &mut commands),
            Screen::Review => self.show_review(ui, &mut commands),
            Screen::Train => self.show_train(ui, &mut commands),
            Screen::Images => self.show_images(ui, &mut commands),
            Screen::Settings => self.show_settings(ui, &mut commands),
            Screen::Curves => {
                let threshold = self.images.query.threshold;
                CurvesView { model: &self.curves, threshold, commands: &mut commands }.show(ui);
            }
        }
        self.show_datasets(ui, &mut commands);
        take_dropped(ui.ctx(), &mut commands);
        if self.help_open {
            help::show(ui.ctx(), &self.keys.keymap(), self.reasons(), &mut commands);
        }
        self.show_palette(ui, &mut commands);
        self.end_typing_ahead();
        super::messages::show_log(ui.ctx(), &self.messages, &mut commands);
        self.show_leaving(ui.ctx(), &mut commands);
        if let Some(session) = &self.session {
            self.textures.send_requests(&session.pictures);
        }
        if !commands.is_empty() && commands.iter().any(|command| !is_report(command)) {
            ui.ctx().request_repaint();
        }
        self.commands = commands;
    }

    fn show_project(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let busy = self.jobs.running().next().is_some();
        let trains = self.jobs.running().any(|(kind, _)| kind == JobKind::Round);
        let project = self.session.as_ref().map(|session| OpenProject {
            name: session.project.name(),
            dir: session.project.dir(),
            overview: &session.details.overview,
            counts: &self.review.counts,
            busy,
            trains,
        });
        StartView { model: &mut self.start, options: &self.options, project, commands }.show(ui);
    }

    fn show_datasets(&mut self, ui: &Ui, commands: &mut Vec<Command>) {
        let classes = self.overview().map_or_else(Vec::new, |overview| overview.classes.clone());
        let progress = self.datasets.progress();
        DatasetView { window: &mut self.datasets.window, progress, classes: &classes, commands }.show(ui.ctx());
    }

    fn show_review(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let empty = super::details::Details::default();
        let details = self.session.as_ref().map_or(&empty, |session| &session.details);
        let keymap = self.keys.keymap();
        let annotator = &self.options.annotator;
        let textures = &mut self.textures;
        let last_view = self.last_view;
        let has_project = self.session.is_some();
        let model = &self.review;
        ReviewView { model, details, keymap: &keymap, annotator, last_view, has_project, textures, commands }.show(ui);
    }

    fn show_images(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let empty = super::details::Details::default();
        let mut view = ImagesView {
            model: &self.images,
            details: self.session.as_ref().map_or(&empty, |session| &session.details),
            keymap: &self.keys.keymap(),
            viewport: self.viewport,
            textures: &mut self.textures,
            commands,
            has_project: self.session.is_some(),
            leads_back: !self.images_places.is_empty(),
        };
        view.show(ui);
    }

    fn show_train(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let job = self.jobs.job(JobKind::Round);
        let mut view = TrainView {
            model: &self.train,
            progress: job.and_then(Job::progress),
            rate: job.map_or_else(String::new, Job::rate),
            state: match job {
                None => JobState::Idle,
                Some(job) if job.is_stopping() => JobState::Stopping,
                Some(job) if job.is_paused() => JobState::Paused,
                Some(_) => JobState::Running,
            },
            datasets: self.overview().map_or_else(Vec::new, |o| o.datasets.iter().map(|d| d.name.as_str()).collect()),
            has_project: self.session.is_some(),
            images: self.overview().map_or(0, |overview| overview.images),
            gpu: self.gpu_check.state(),
            commands,
        };
        view.show(ui);
    }

    fn show_settings(&mut self, ui: &mut Ui, commands: &mut Vec<Command>) {
        let reasons = self.reasons();
        let mut view = SettingsView {
            model: &self.settings,
            options: &self.options,
            annotator: &mut self.start.annotator,
            reasons,
            keymap: &self.keys.keymap(),
            keys_file: self.keys_file.as_deref(),
            gpu: self.gpu_check.state(),
            backups: self.session.as_ref().map(|session| session.project.dir().join("backups")),
            cache: self.cache_size.state(),
            commands,
        };
        view.show(ui);
    }

    fn show_palette(&mut self, ui: &Ui, commands: &mut Vec<Command>) {
        let places = self.places();
        if let Some(model) = &self.palette {
            PaletteView { model, keymap: &self.keys.keymap(), reasons: self.reasons(), places, commands }
                .show(ui.ctx());
        }
    }

    pub(super) fn overview(&self) -> Option<&Overview> {
        self.session.as_ref().map(|session| &session.details.overview)
    }
}

/// Previews files held over the window, and accepts dropped ones.
fn take_dropped(ctx: &egui::Context, commands: &mut Vec<Command>) {
    let (hovers, dropped) = ctx.input(|input| {
        let paths: Vec<_> = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect();
        (!input.raw.hovered_files.is_empty(), paths)
    });
    if !dropped.is_empty() {
        commands.push(Command::Dropped(dropped));
    }
    if hovers {
        let area = ctx.content_rect();
        let painter = ctx.layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop")));
        painter.rect_filled(area, 0.0, super::theme::BACKGROUND.now().gamma_multiply(0.85));
        let text = "Drop a project to open it, or a dataset, detections or a model to preview them";
        let font = egui::FontId::proportional(20.0);
        painter.text(area.center(), egui::Align2::CENTER_CENTER, text, font, super::theme::STRONG.now());
    }
}

/// Whether a command is only a per-frame report of the grid, which needs no extra frame.
fn is_report(command: &Command) -> bool {
    use crate::app::command::ReviewCommand;
    matches!(command, Command::Review(ReviewCommand::Columns(..) | ReviewCommand::Visible(_)))
}

impl eframe::App for QuarryApp {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.tick(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.show(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        self.options.last = self.last_place();
        eframe::set_value(storage, super::start_up::OPTIONS_KEY, &self.options);
    }

    fn clear_color(&self, _: &egui::Visuals) -> [f32; 4] {
        super::theme::BACKGROUND.now().to_normalized_gamma_f32()
    }
}
