//! The set-up window, shown while libtorch is missing: offers to download it, shows the progress and closes when it is installed. Part of
//! the thin binary, so it must not reach code that needs libtorch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use egui::{CentralPanel, ProgressBar, RichText, Ui, ViewportBuilder, ViewportCommand, vec2};

use super::start_up::require_display;
use super::{AppError, theme};
use crate::domain::{Progress, Rate, data_folder, printable_line, printable_path};
use crate::jobs::{OneShot, Waker};
use crate::workflow::WorkEvent;
use crate::workflow::setup::{Part, SetupRequest, Source, Variant, index_url, run as set_up, suitable_variant};

/// Opens the window; returns whether everything was downloaded when it closed.
pub fn offer_setup() -> Result<bool, AppError> {
    require_display("`quarry setup`")?;
    let viewport = ViewportBuilder::default()
        .with_title("Quarry: setup")
        .with_app_id("quarry")
        .with_inner_size(vec2(620.0, 400.0));
    // The app's main window must not inherit the size of this one.
    let options = eframe::NativeOptions {
        viewport,
        renderer: eframe::Renderer::Glow,
        persist_window: false,
        ..Default::default()
    };
    let is_done = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&is_done);
    let create = move |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        theme::apply(&cc.egui_ctx);
        let waking = cc.egui_ctx.clone();
        Ok(Box::new(OfferSetup::new(Arc::new(move || waking.request_repaint()), done)))
    };
    eframe::run_native("quarry-setup", options, Box::new(create))
        .map_err(|error| AppError::Window(error.to_string()))?;
    Ok(is_done.load(Ordering::Acquire))
}

pub struct OfferSetup {
    variant: Variant,
    work: Option<OneShot<()>>,
    rate: Option<Rate>,
    error: Option<String>,
    is_done: Arc<AtomicBool>,
    waker: Waker,
}

impl OfferSetup {
    fn new(waker: Waker, is_done: Arc<AtomicBool>) -> Self {
        let variant = data_folder().map_or(Variant::Cpu, |folder| suitable_variant(&folder));
        Self { variant, work: None, rate: None, error: None, is_done, waker }
    }

    fn start(&mut self) {
        let Some(folder) = data_folder() else {
            self.error = Some("neither XDG_DATA_HOME nor HOME is set: set one of them".to_owned());
            return;
        };
        let parts = vec![Part::libtorch(self.variant), Part::backbone(), Part::onnx_runtime()];
        let request = SetupRequest { folder, parts, source: Source::Index(index_url()) };
        let work = OneShot::start(
            "setup",
            move |tell, cancel| {
                let mut observer = |event| {
                    if let WorkEvent::Progress(progress) = event {
                        tell(progress);
                    }
                };
                set_up(&request, &mut observer, cancel).map(|_| ()).map_err(|error| error.to_string())
            },
            Arc::clone(&self.waker),
        );
        self.rate = None;
        match work {
            Ok(work) => (self.work, self.error) = (Some(work), None),
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    fn show_offer(&mut self, ui: &mut Ui) {
        let folder = data_folder().map(|folder| printable_path(&folder)).unwrap_or_default();
        ui.label(
            "Quarry needs libtorch to train and to detect. It is downloaded once from PyPI, verified by checksum, into",
        );
        ui.monospace(folder);
        ui.add_space(12.0);
        ui.radio_value(&mut self.variant, Variant::Cpu, "For the CPU: 527 MB");
        ui.radio_value(
            &mut self.variant,
            Variant::Cuda,
            "For an NVIDIA GPU (driver 580 or newer): 2.5 GB, 3.7 GB on disk",
        );
        ui.label("The pretrained backbone and ONNX Runtime are included (50 MB).");
        ui.add_space(12.0);
        if let Some(error) = &self.error {
            ui.colored_label(theme::ERROR, printable_line(error));
        }
        ui.horizontal(|ui| {
            if ui.button("Download").clicked() {
                self.start();
            }
            if ui.button("Quit").clicked() {
                ui.ctx().send_viewport_cmd(ViewportCommand::Close);
            }
        });
    }

    fn show_progress(&mut self, ui: &mut Ui, progress: Option<Progress>) {
        let Some(progress) = progress else {
            ui.label("Asking the package index…");
            return;
        };
        let now = Instant::now();
        let mut rate = self.rate.take().unwrap_or_else(|| Rate::new(&progress, now));
        rate.follow(&progress, now);
        let what = printable_line(&progress.what);
        ui.label(match what.strip_suffix(", MB") {
            Some(what) => format!("{what}: {} of {} MB", progress.done, progress.total),
            None => what.into_owned(),
        });
        ui.add(ProgressBar::new(progress.done as f32 / progress.total.max(1) as f32).show_percentage());
        ui.label(rate.in_words());
        self.rate = Some(rate);
        ui.ctx().request_repaint_after(Duration::from_millis(500));
    }
}

impl eframe::App for OfferSetup {
    fn persist_egui_memory(&self) -> bool {
        false
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        if let Some(done) = self.work.as_mut().and_then(OneShot::poll) {
            self.work = None;
            match done {
                Ok(()) => {
                    self.is_done.store(true, Ordering::Release);
                    ui.ctx().send_viewport_cmd(ViewportCommand::Close);
                }
                Err(error) => self.error = Some(error),
            }
        }
        CentralPanel::default().show(ui, |ui| {
            ui.add_space(8.0);
            let heading = if self.work.is_some() { "Setting up Quarry" } else { "libtorch is not installed" };
            ui.label(RichText::new(heading).heading());
            ui.add_space(8.0);
            match &self.work {
                Some(work) => {
                    let progress = work.progress();
                    self.show_progress(ui, progress);
                    if ui.button("Cancel").clicked() {
                        self.work = None;
                    }
                }
                None => self.show_offer(ui),
            }
        });
    }
}
