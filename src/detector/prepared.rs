//! Weights made ready for detection: batch norm folded in, channels-last, in the kind that the network computes in. Made once, and again
//! when a step has changed what they come from.

use std::cell::{Cell, RefCell};

use tch::{Kind, NoGradGuard, Tensor};

thread_local! {
    static DETECTING: Cell<u32> = const { Cell::new(0) };
}

/// While it lives, this thread records no gradients and layers compute with prepared weights.
pub(super) struct Detecting {
    _without_gradients: NoGradGuard,
}

/// Starts detecting on this thread.
pub(super) fn detecting() -> Detecting {
    DETECTING.with(|depth| depth.set(depth.get() + 1));
    Detecting { _without_gradients: tch::no_grad_guard() }
}

impl Drop for Detecting {
    fn drop(&mut self) {
        DETECTING.with(|depth| depth.set(depth.get() - 1));
    }
}

/// The prepared weight and bias of a layer.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    made: RefCell<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    kind: Kind,
    /// Where each parameter lay when this was made, and how often it had been written.
    sources: Vec<(usize, i64)>,
    weight: Tensor,
    bias: Tensor,
}

impl Prepared {
    /// Weight and bias in `kind` as `make` gives them. While gradients may be wanted they are made again, so that they carry them; for
    /// detection, and where no parameter of `sources` learns, once for as long as the sources stay as they are.
    pub fn get(&self, sources: &[&Tensor], kind: Kind, make: impl FnOnce() -> (Tensor, Tensor)) -> (Tensor, Tensor) {
        let learns = || sources.iter().any(|source| source.requires_grad());
        if !is_detecting() && learns() {
            return make();
        }
        // libtorch counts the writes to each tensor.
        let state = || sources.iter().map(|source| (source.data_ptr().addr(), source.internal_version()));
        let mut made = self.made.borrow_mut();
        let is_of_these = |known: &&Made| known.kind == kind && state().eq(known.sources.iter().copied());
        if let Some(known) = made.as_ref().filter(is_of_these) {
            return (known.weight.shallow_clone(), known.bias.shallow_clone());
        }
        let (weight, bias) = make();
        let weight = if weight.dim() == 4 { channels_last(&weight) } else { weight };
        *made =
            Some(Made { kind, sources: state().collect(), weight: weight.shallow_clone(), bias: bias.shallow_clone() });
        (weight, bias)
    }
}

/// Whether this thread detects: nothing is recorded for gradients.
pub(super) fn is_detecting() -> bool {
    DETECTING.with(Cell::get) > 0
}

/// The same values with the channel as the fastest axis, which the CPU's convolutions like best.
pub(super) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}
