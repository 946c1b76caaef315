//! Checks, after the first frame and on its own thread, whether rounds can train on a GPU: loading CUDA takes a second.

use egui::Context;

use super::work;
use crate::detector::GpuState;
use crate::jobs::{OwnerThread, Waker};

/// The pending check and its result.
#[derive(Default)]
pub(super) struct GpuCheck {
    frames: u32,
    thread: Option<OwnerThread<(), GpuState>>,
    state: Option<GpuState>,
}

impl GpuCheck {
    /// Called once per frame: starts the check in the second one and receives the result.
    pub fn tick(&mut self, ctx: &Context, waker: &Waker) {
        self.frames = self.frames.saturating_add(1);
        match self.frames {
            1 => ctx.request_repaint(),
            2 => self.ask(waker),
            _ => self.take_answer(),
        }
    }

    /// `None` until the check is done.
    pub fn state(&self) -> Option<&GpuState> {
        self.state.as_ref()
    }

    fn ask(&mut self, waker: &Waker) {
        match OwnerThread::start("GPU check", || Ok(()), |(), ()| Ok(work::gpu_state()), waker.clone()) {
            Ok(mut thread) => {
                thread.ask(());
                self.thread = Some(thread);
            }
            Err(error) => tracing::error!("The GPU check failed: {error}"),
        }
    }

    fn take_answer(&mut self) {
        let Some(answer) = self.thread.as_mut().and_then(OwnerThread::poll) else { return };
        match answer.result {
            Ok(state) => self.state = Some(state),
            Err(reason) => tracing::error!("The GPU check failed: {reason}"),
        }
        self.thread = None;
    }
}
