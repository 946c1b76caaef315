//! SGD with momentum and weight decay, with torch's semantics and a state that can be saved (tch cannot save its optimisers'). Updates are
//! in place, over all parameters at once: a step allocates nothing the size of a parameter.
//!
//! For each parameter p with gradient g: `g += weight_decay * p; v = momentum * v + g; p -= lr * v`.

use std::collections::HashMap;
use std::path::Path;

use tch::{Device, TchError, Tensor, no_grad_guard};

use super::config::RoundConfig;
use super::error::TrainingError;
use super::flat::{self, Flat};

/// Parameters with one learning rate and one decay.
struct Group {
    parameters: Flat,
    gradients: Tensor,
    /// Zero before the first step.
    velocities: Tensor,
    /// Factor of the learning rate.
    rate: f64,
    /// A 0-dimensional tensor, so that decay is one fused, in-place operation; `None` without decay.
    decay: Option<Tensor>,
}

impl Group {
    fn of(parameters: Vec<(String, Tensor)>, rate: f64, decay: f64) -> Result<Self, TchError> {
        let parameters = Flat::of(parameters)?;
        let gradients = parameters.make_gradients()?;
        let device = gradients.device();
        Ok(Self {
            velocities: gradients.f_zeros_like()?,
            gradients,
            parameters,
            rate,
            decay: (decay > 0.0).then(|| scalar(decay, device)).transpose()?,
        })
    }

    fn update(&mut self, lr: f64, clip: f64, momentum: f64) -> Result<(), TchError> {
        // Adding a multiple of a tensor takes its factor from the device.
        let rate = scalar(-(lr * self.rate), self.gradients.device())?;
        let mut values = self.parameters.values().shallow_clone();
        if clip < 1.0 {
            let _ = self.gradients.f_mul_scalar_(clip)?;
        }
        if let Some(decay) = &self.decay {
            let _ = self.gradients.f_addcmul_(&values, decay)?;
        }
        let _ = self.velocities.f_mul_scalar_(momentum)?.f_add_(&self.gradients)?;
        let _ = values.f_addcmul_(&self.velocities, &rate)?;
        self.parameters.written()
    }
}

/// The optimiser of a round. A parameter that no loss depends on has a gradient of zero.
///
/// Invariant: gradients are disabled by a guard. `tch::no_grad` leaves them disabled after a panic, and a step that ran out of memory is
/// retried.
pub struct Sgd {
    /// Weights; then biases and norms, which have their own rate and decay settings.
    groups: [Group; 2],
    momentum: f64,
    clip_norm: f64,
}

impl Sgd {
    /// `parameters` are leaf tensors that require gradients; their memory is moved. Biases and norms are those with one dimension.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &RoundConfig) -> Result<Self, TrainingError> {
        let [weights, biases] = Self::grouped(parameters);
        let bias_decay = if config.bias_weight_decay { config.weight_decay } else { 0.0 };
        let groups = || {
            let weights = Group::of(weights, 1.0, config.weight_decay)?;
            Ok([weights, Group::of(biases, config.bias_lr_factor, bias_decay)?])
        };
        Ok(Self {
            groups: groups().map_err(TrainingError::torch("making the optimiser"))?,
            momentum: config.momentum,
            clip_norm: config.clip_norm,
        })
    }

    /// Returns the parameters by group.
    pub(super) fn grouped(parameters: Vec<(String, Tensor)>) -> [Vec<(String, Tensor)>; 2] {
        let (biases, weights) = parameters.into_iter().partition(|(_, value)| value.dim() <= 1);
        [weights, biases]
    }

    /// Returns the buffer of each group's parameters.
    pub(super) fn buffers(&self) -> [Tensor; 2] {
        self.groups.each_ref().map(|group| group.parameters.values().shallow_clone())
    }

    /// Returns the number of trainable values.
    pub fn numel(&self) -> u64 {
        self.groups.iter().map(|group| group.parameters.numel() as u64).sum()
    }

    /// Sets all gradients to zero and keeps their memory.
    pub fn zero_grad(&mut self) -> Result<(), TrainingError> {
        let _guard = no_grad_guard();
        let zeroed = self.groups.iter_mut().try_for_each(|group| group.gradients.f_zero_().map(drop));
        zeroed.map_err(TrainingError::torch("clearing the gradients"))
    }

    /// Returns the L2 norm of all gradients as a 0-dimensional double on their device; NaN or infinite if any gradient is.
    pub fn grad_norm(&self) -> Result<Tensor, TrainingError> {
        let _guard = no_grad_guard();
        #[cfg(test)]
        super::step::fault::strike_in_norm();
        let gradients = self.groups.each_ref().map(|group| &group.gradients);
        flat::norm(&gradients).map_err(TrainingError::torch("measuring the gradients"))
    }

    /// Clips by the norm from [`Self::grad_norm`], then makes a step.
    pub fn step(&mut self, lr: f64, grad_norm: f64) -> Result<(), TrainingError> {
        let _guard = no_grad_guard();
        let clip = if self.clip_norm > 0.0 && grad_norm > self.clip_norm { self.clip_norm / grad_norm } else { 1.0 };
        let updated = self.groups.iter_mut().try_for_each(|group| group.update(lr, clip, self.momentum));
        updated.map_err(TrainingError::torch("updating the weights"))
    }

    /// Whether all weights are finite.
    pub fn is_finite(&self) -> Result<bool, TrainingError> {
        let _guard = no_grad_guard();
        let mut all =
            self.groups.iter().map(|group| group.parameters.values().f_isfinite()?.f_all()?.f_int64_value(&[]));
        let finite: Result<bool, TchError> = all.try_fold(true, |finite, of_group| Ok(finite && of_group? == 1));
        finite.map_err(TrainingError::torch("checking the weights"))
    }

    /// Saves the velocities under their parameters' names.
    pub fn save(&self, path: &Path) -> Result<(), TrainingError> {
        let writing = TrainingError::torch("writing the optimiser's state");
        let tensors: Vec<(&str, Tensor)> = self.velocities().collect::<Result<_, TchError>>().map_err(&writing)?;
        Tensor::write_safetensors(&tensors, path).map_err(writing)
    }

    /// Loads what [`Self::save`] wrote; every velocity must exist with its shape.
    pub fn load(&mut self, path: &Path) -> Result<(), TrainingError> {
        let wrong = |what: String| TrainingError::OtherRound { path: path.to_path_buf(), what };
        let restoring = TrainingError::torch("restoring the optimiser");
        let read = Tensor::read_safetensors(path).map_err(|error| TrainingError::Checkpoint {
            path: path.to_path_buf(),
            what: format!("the optimiser's state can't be read ({error}); resume from an earlier checkpoint"),
        })?;
        let _guard = no_grad_guard();
        let mut state: HashMap<String, Tensor> = read.into_iter().collect();
        for of_parameter in self.velocities() {
            let (name, mut velocity) = of_parameter.map_err(&restoring)?;
            let Some(saved) = state.remove(name) else {
                return Err(wrong(format!("the optimiser's state lacks {name}")));
            };
            if saved.size() != velocity.size() {
                let (found, needed) = (saved.size(), velocity.size());
                return Err(wrong(format!("{name} has shape {found:?} where {needed:?} is needed")));
            }
            velocity.f_copy_(&saved).map_err(&restoring)?;
        }
        match state.keys().min() {
            Some(extra) => Err(wrong(format!("the optimiser's state has {extra}, which this detector lacks"))),
            None => Ok(()),
        }
    }

    /// Returns each parameter's name and velocity, which shares memory with this.
    fn velocities(&self) -> impl Iterator<Item = Result<(&str, Tensor), TchError>> {
        self.groups.iter().flat_map(|group| group.parameters.parts(&group.velocities))
    }
}

/// Returns a 0-dimensional float on `device`.
fn scalar(value: f64, device: Device) -> Result<Tensor, TchError> {
    Tensor::from(value as f32).f_to_device(device)
}

#[cfg(test)]
mod tests {
    use tch::nn::OptimizerConfig;
    use tch::{Device, Kind, nn};

    use super::*;

    fn config(change: fn(&mut RoundConfig)) -> RoundConfig {
        let mut config = RoundConfig::preset("paper").unwrap();
        config.bias_lr_factor = 1.0;
        change(&mut config);
        config
    }

    fn leaf(values: &[f32]) -> Tensor {
        Tensor::from_slice(values).set_requires_grad(true)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().flatten(0, -1)).unwrap()
    }

    fn built(parameters: Vec<(String, Tensor)>, config: &RoundConfig) -> Sgd {
        Sgd::new(parameters, config).unwrap()
    }

    fn norm_of(sgd: &Sgd) -> f64 {
        sgd.grad_norm().unwrap().double_value(&[])
    }

    fn backward_of_squares(parameter: &Tensor, target: f64) {
        (parameter - target).square().sum(Kind::Float).backward();
    }

    #[test]
    fn two_steps_by_hand() {
        let config = config(|c| (c.momentum, c.weight_decay) = (0.9, 0.1));
        let parameter = leaf(&[1.0]);
        let mut sgd = built(vec![("w".to_owned(), parameter.shallow_clone())], &config);
        // d/dw (w - 3)^2 = 2 (w - 3)
        backward_of_squares(&parameter, 3.0);
        let norm = norm_of(&sgd);
        assert_eq!(norm, 4.0);
        sgd.step(0.1, norm).unwrap();
        // v = -4 + 0.1; w = 1 + 0.39
        assert!((values(&parameter)[0] - 1.39).abs() < 1e-6);
        sgd.zero_grad().unwrap();
        backward_of_squares(&parameter, 3.0);
        sgd.step(0.1, norm_of(&sgd)).unwrap();
        // v = 0.9 * -3.9 + 2 (1.39 - 3) + 0.139 = -6.591
        assert!((values(&parameter)[0] - 2.0491).abs() < 1e-5, "{:?}", values(&parameter));
    }

    #[test]
    fn follows_torchs_sgd() {
        let config = config(|c| (c.momentum, c.weight_decay) = (0.9, 0.0005));
        let store = nn::VarStore::new(Device::Cpu);
        let theirs = store.root().var_copy("w", &Tensor::arange(12, (Kind::Float, Device::Cpu)).reshape([3, 4]));
        let mut torch =
            nn::Sgd { momentum: 0.9, dampening: 0.0, wd: 0.0005, nesterov: false }.build(&store, 0.01).unwrap();
        let ours = theirs.detach().copy().set_requires_grad(true);
        let mut sgd = built(vec![("w".to_owned(), ours.shallow_clone())], &config);
        for _ in 0..5 {
            torch.backward_step(&(&theirs - 1.5).square().sum(Kind::Float));
            sgd.zero_grad().unwrap();
            backward_of_squares(&ours, 1.5);
            sgd.step(0.01, norm_of(&sgd)).unwrap();
        }
        for (a, b) in values(&theirs).iter().zip(values(&ours)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn clipping_keeps_the_direction_and_biases_have_their_own_rules() {
        let config = config(|c| {
            (c.momentum, c.weight_decay, c.clip_norm) = (0.0, 0.5, 1.0);
            (c.bias_lr_factor, c.bias_weight_decay) = (2.0, false);
        });
        let (bias, weight) =
            (leaf(&[3.0, 4.0]), Tensor::zeros([1, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true));
        let unused = leaf(&[7.0]);
        let parameters = [("b", &bias), ("w", &weight), ("u", &unused)];
        let mut sgd = built(parameters.map(|(n, t)| (n.to_owned(), t.shallow_clone())).into(), &config);
        ((&bias * &bias).sum(Kind::Float) / 2.0 + weight.sum(Kind::Float) * 0.0).backward();
        let norm = norm_of(&sgd);
        assert!((norm - 5.0).abs() < 1e-6, "{norm}");
        sgd.step(0.1, norm).unwrap();
        let expected = [3.0 - 0.2 * 0.6, 4.0 - 0.2 * 0.8];
        for (found, expected) in values(&bias).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(values(&unused), [7.0], "a gradient of zero and no decay");
    }

    #[test]
    fn a_saved_state_goes_on_in_the_same_way_and_a_wrong_one_is_refused() {
        let config = config(|_| {});
        let run = |steps: usize, sgd: &mut Sgd, parameter: &Tensor| {
            for _ in 0..steps {
                sgd.zero_grad().unwrap();
                backward_of_squares(parameter, 0.5);
                sgd.step(0.01, norm_of(sgd)).unwrap();
            }
        };
        let fresh = |start: &[f32]| {
            let parameter = leaf(start);
            (built(vec![("w".to_owned(), parameter.shallow_clone())], &config), parameter)
        };
        let (mut through, whole) = fresh(&[1.0, 2.0]);
        run(6, &mut through, &whole);
        let (mut first, half) = fresh(&[1.0, 2.0]);
        run(3, &mut first, &half);
        let file = tempfile::NamedTempFile::new().unwrap();
        first.save(file.path()).unwrap();
        let (mut second, rest) = fresh(&values(&half));
        second.load(file.path()).unwrap();
        run(3, &mut second, &rest);
        assert_eq!(values(&rest), values(&whole));

        let (mut other, _) = fresh(&[1.0]);
        let message = other.load(file.path()).unwrap_err().to_string();
        assert!(message.contains("shape [2] where [1]"), "{message}");
    }
}
