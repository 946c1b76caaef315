//! Opens the window: checks the display and loads the options file.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use egui::{ViewportBuilder, ViewportCommand, vec2};

use super::QuarryApp;
use super::command::{Command, Screen};
use super::keymap::{Keymap, KeymapError};
use super::options::{Options, config_dir};
use crate::domain::{crash_folder, new_crash_reports};
use crate::workflow::{Project, WorkflowError};

pub(super) const OPTIONS_KEY: &str = "options";
/// eframe's key for the size of the last window: missing on the first start.
const WINDOW_KEY: &str = "window";
/// Frames after which the window is visible.
const FRAMES_UNTIL_SHOWN: u64 = 2;

/// Why the window could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(
        "there is no display: neither WAYLAND_DISPLAY nor DISPLAY is set. Run this on a desktop, or without a window: {instead}"
    )]
    NoDisplay { instead: &'static str },
    #[error("the window cannot be opened: {0}. Without a working display use the subcommands (see `quarry --help`)")]
    Window(String),
    #[error(transparent)]
    Keys(#[from] KeymapError),
    #[error(transparent)]
    Project(#[from] WorkflowError),
}

/// Opens the window, with `project` if given. Returns when it is closed.
pub fn run(project: Option<PathBuf>) -> Result<(), AppError> {
    require_display("the subcommands, see `quarry --help`")?;
    // A wrong path is reported before a window appears.
    let project = project.map(|dir| Project::open(&dir)).transpose()?;
    open(move |app| match project {
        Some(project) => app.push(Command::Open(project.dir().to_owned())),
        None => app.reopen_last(),
    })
}

/// Opens the window with the built-in sample in `dir` and trains its first round; with `auto_review` the second one too.
pub fn run_demo(dir: &Path, auto_review: bool) -> Result<(), AppError> {
    require_display("`quarry demo --headless`")?;
    let project = Project::open_or_create(dir)?;
    #[cfg(feature = "torch")]
    crate::workflow::demo::check_is_sample(&project)?;
    open(move |app| {
        app.push(Command::Open(project.dir().to_owned()));
        app.push(Command::Sample { dir: project.dir().to_owned(), auto_review });
        app.push(Command::Show(Screen::Train));
    })
}

fn open(first: impl FnOnce(&mut QuarryApp)) -> Result<(), AppError> {
    let keys_file = config_dir().map(|dir| dir.join("keys.toml"));
    let keymap = keys_file.as_ref().map_or_else(|| Ok(Keymap::default()), |file| Keymap::load(file))?;
    let viewport = ViewportBuilder::default()
        .with_title("Quarry")
        .with_app_id("quarry")
        .with_icon(super::icon::icon())
        // On the first start; later the last window size is used.
        .with_inner_size(vec2(1440.0, 900.0))
        .with_maximized(true)
        .with_min_inner_size(vec2(900.0, 600.0));
    let options = eframe::NativeOptions { viewport, renderer: eframe::Renderer::Glow, ..Default::default() };
    let create = move |cc: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        let options: Options = cc.storage.and_then(|s| eframe::get_value(s, OPTIONS_KEY)).unwrap_or_default();
        if cc.storage.and_then(|storage| storage.get_string(WINDOW_KEY)).is_none() {
            maximize_once_shown(&cc.egui_ctx);
        }
        let mut app = QuarryApp::new(&cc.egui_ctx, options, keymap);
        if let Some(file) = keys_file {
            app.keep_keys_in(file);
        }
        app.offer_crash_reports(crash_folder().map(|folder| new_crash_reports(&folder)).unwrap_or_default());
        first(&mut app);
        Ok(Box::new(app))
    };
    eframe::run_native("quarry", options, Box::new(create)).map_err(|e| AppError::Window(e.to_string()))
}

/// Maximizes the window after its first frames: X11's window managers ignore the request of a window that is not shown yet, and eframe shows
/// it after the first frame.
fn maximize_once_shown(ctx: &egui::Context) {
    let ask = |ui: &mut egui::Ui| {
        let ctx = ui.ctx();
        match ctx.cumulative_frame_nr().cmp(&FRAMES_UNTIL_SHOWN) {
            Ordering::Less => ctx.request_repaint(),
            Ordering::Equal if ctx.input(|input| input.viewport().maximized) != Some(true) => {
                ctx.send_viewport_cmd(ViewportCommand::Maximized(true));
            }
            Ordering::Equal | Ordering::Greater => {}
        }
    };
    ctx.on_end_pass("maximize once shown", Arc::new(ask));
}

/// Fails early if no window can be opened; `instead` is the alternative.
pub(super) fn require_display(instead: &'static str) -> Result<(), AppError> {
    if has_display() { Ok(()) } else { Err(AppError::NoDisplay { instead }) }
}

/// Whether a window can be opened. Systems other than Linux always have a display.
fn has_display() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !cfg!(target_os = "linux") || set("WAYLAND_DISPLAY") || set("DISPLAY")
}
