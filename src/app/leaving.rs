//! Before a running round is stopped, by Stop or by closing the window, asks the user once and says what is kept.

use egui::{Context, Id, Modal, RichText, ViewportCommand};

use super::command::{Command, LeavingCommand};
use super::{QuarryApp, theme};
use crate::jobs::JobKind;

/// What would stop the round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    Stop,
    /// Closing the window.
    Close,
}

impl QuarryApp {
    /// Whether a round runs that is not being stopped yet.
    fn round_runs(&self) -> bool {
        self.jobs.job(JobKind::Round).is_some_and(|job| !job.is_stopping())
    }

    pub(super) fn ask_to_stop(&mut self) {
        if self.round_runs() {
            self.leaving = Some(Leaving::Stop);
        } else {
            self.stop_jobs();
        }
    }

    fn stop_jobs(&self) {
        self.jobs.running().for_each(|(_, job)| job.stop());
    }

    /// Whether the window stays open to ask. Closing it again meanwhile means yes.
    pub(super) fn asks_before_closing(&mut self) -> bool {
        if !self.round_runs() || self.leaving == Some(Leaving::Close) {
            return false;
        }
        self.leaving = Some(Leaving::Close);
        true
    }

    pub(super) fn apply_leaving(&mut self, command: LeavingCommand, ctx: &Context) {
        if command == LeavingCommand::Quit {
            return ctx.send_viewport_cmd(ViewportCommand::Close);
        }
        let Some(leaving) = self.leaving.take().filter(|_| command == LeavingCommand::GoOn) else { return };
        self.stop_jobs();
        if leaving == Leaving::Close {
            ctx.send_viewport_cmd(ViewportCommand::Close);
        }
    }

    pub(super) fn show_leaving(&self, ctx: &Context, commands: &mut Vec<Command>) {
        let Some(leaving) = self.leaving else { return };
        let run = self.train.run.as_ref();
        let fold = run.and_then(|run| run.fold);
        let step = run.and_then(|run| run.last.as_ref()).map_or(0, |last| last.step);
        let modal = Modal::new(Id::unique("leaving")).frame(theme::card().inner_margin(24)).show(ctx, |ui| {
            ui.set_width(440.0);
            let close = if leaving == Leaving::Close { " and close" } else { "" };
            let what = match run.and_then(|run| run.round) {
                _ if fold.is_some() => "the cross-validation".to_owned(),
                Some(round) => format!("round {round}"),
                None => "the round".to_owned(),
            };
            ui.label(RichText::new(format!("Stop {what}{close}?")).size(18.0).strong().color(theme::STRONG));
            ui.add_space(6.0);
            if let Some(fold) = fold {
                ui.label(RichText::new(fold.to_string()).color(theme::WEAK));
            }
            let kept = match step {
                0 => "It has made no training step yet. What it has done is kept, and Resume continues from there."
                    .to_owned(),
                1 => "Its step is kept: it writes a checkpoint first, and Resume continues from there.".to_owned(),
                _ => {
                    format!("Its {step} steps are kept: it writes a checkpoint first, and Resume continues from there.")
                }
            };
            ui.label(format!("{kept} Verdicts, corrections and earlier rounds are saved already."));
            ui.add_space(10.0);
            let (stop, stay) = match leaving {
                Leaving::Stop if fold.is_some() => ("Stop the cross-validation", "Let it run"),
                Leaving::Stop => ("Stop the round", "Let it run"),
                Leaving::Close => ("Stop and close", "Stay"),
            };
            ui.horizontal(|ui| {
                if ui.button(RichText::new(stop).color(theme::ERROR)).clicked() {
                    commands.push(Command::Leaving(LeavingCommand::GoOn));
                }
                if ui.button(RichText::new(stay).strong()).clicked() {
                    commands.push(Command::Leaving(LeavingCommand::Stay));
                }
            });
        });
        if modal.should_close() {
            commands.push(Command::Leaving(LeavingCommand::Stay));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::app::keymap::Keymap;
    use crate::app::options::Options;
    use crate::app::work::progress_of;

    /// An app with a round that runs until it is stopped.
    fn app(ctx: &Context) -> QuarryApp {
        let mut app = QuarryApp::new(ctx, Options::default(), Keymap::default());
        let work = Box::new(|_: &mut dyn FnMut(_), cancel: &crate::domain::Cancel| {
            while !cancel.is_cancelled() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok("stopped".to_owned())
        });
        app.jobs.start(JobKind::Round, work, progress_of, app.waker.clone()).unwrap();
        app
    }

    fn answer(app: &mut QuarryApp, ctx: &Context, command: Command) {
        app.push(command);
        app.tick(ctx);
    }

    #[test]
    fn stop_asks_once_and_stops_only_when_it_is_told_to() {
        let ctx = Context::default();
        let mut app = app(&ctx);
        answer(&mut app, &ctx, Command::StopJobs);
        assert!(app.leaving == Some(Leaving::Stop) && app.round_runs());
        answer(&mut app, &ctx, Command::Leaving(LeavingCommand::Stay));
        assert!(app.leaving.is_none() && app.round_runs());
        answer(&mut app, &ctx, Command::StopJobs);
        answer(&mut app, &ctx, Command::Leaving(LeavingCommand::GoOn));
        assert!(app.leaving.is_none());
        let deadline = Instant::now() + Duration::from_mins(2);
        while app.jobs.job(JobKind::Round).is_some() {
            assert!(Instant::now() < deadline, "the round did not stop");
            app.tick(&ctx);
        }
    }

    #[test]
    fn closing_the_window_asks_once() {
        let ctx = Context::default();
        let mut app = app(&ctx);
        assert!(app.asks_before_closing() && !app.asks_before_closing(), "closing it again is the answer");
        answer(&mut app, &ctx, Command::Leaving(LeavingCommand::Stay));
        assert!(app.asks_before_closing(), "another time it asks again");
        answer(&mut app, &ctx, Command::Leaving(LeavingCommand::GoOn));
        assert!(!app.asks_before_closing());
    }
}
