//! Estimates the step time before the first step. Torch-free.

use super::config::RoundConfig;
use crate::detector::Architecture;

/// CPU cost of a step per image, in seconds times cores.
struct Cost {
    /// For 300 pixels on the shorter side; grows quadratically.
    pixels: f64,
    /// For [`MEASURED_ROIS`] RoIs, independent of the image's size.
    rois: f64,
}

/// RoIs per image in the measured steps.
const MEASURED_ROIS: f64 = 128.0;

/// Measured with one FDDB image per step at 300 and 600 pixels on one core of a 2023 server, plus a third for imperfect scaling over
/// several cores (`cargo bench --bench loader`: 0.56 for the half-width pyramid). In C4 each RoI goes through a stage of the backbone.
fn cost(architecture: Architecture) -> Cost {
    let (pixels, rois) = match architecture {
        Architecture::ResNet50HalfFpn => (0.38, 0.18),
        Architecture::ResNet50HalfC4 => (0.2, 1.6),
        Architecture::ResNet18Fpn => (0.37, 0.13),
        Architecture::ResNet50Fpn => (1.6, 0.7),
        Architecture::ResNet50C4 => (0.8, 6.5),
        Architecture::Vgg16 => (2.4, 1.35),
    };
    Cost { pixels, rois }
}

/// Scales the step time of a round `measured` with the settings `of` to `config`. `None` for another network or another device, whose times
/// are not comparable.
pub fn scaled_step_seconds(measured: f64, of: &RoundConfig, config: &RoundConfig) -> Option<f64> {
    let same = of.detector.architecture == config.detector.architecture && of.device == config.device;
    same.then(|| measured * core_seconds(config) / core_seconds(of))
}

/// Estimates the step time in seconds on a CPU with `cores` cores without a measurement; `None` for a GPU.
pub fn rough_step_seconds(config: &RoundConfig, cores: usize) -> Option<f64> {
    (!is_on_gpu(config)).then(|| core_seconds(config) / cores.max(1) as f64)
}

fn core_seconds(config: &RoundConfig) -> f64 {
    let cost = cost(config.detector.architecture);
    let pixels = (f64::from(config.detector.shorter_side) / 300.0).powi(2);
    let rois = config.sampler.batch_per_image as f64 / MEASURED_ROIS;
    config.images_per_step() as f64 * (cost.pixels * pixels + cost.rois * rois)
}

/// Returns a lower bound of the memory that a round needs, in bytes: weights with gradients, velocities and average, the prefetched images,
/// and on a CPU the backbone's activations for a mini-batch. Real rounds need more.
pub fn least_memory_bytes(config: &RoundConfig) -> u64 {
    const FLOAT: u64 = 4;
    let pixels = u64::from(config.detector.shorter_side).saturating_pow(2);
    let held = u64::from(config.prefetch) + u64::from(config.workers) + u64::from(config.batch_images);
    let images = held.saturating_mul(pixels).saturating_mul(3 * FLOAT);
    if is_on_gpu(config) {
        return images;
    }
    let copies = if config.ema > 0.0 { 4 } else { 3 };
    let weights = config.detector.fewest_parameters().saturating_mul(copies * FLOAT);
    let maps = u64::from(config.batch_images)
        .saturating_mul(pixels)
        .saturating_mul(kept_bytes_per_pixel(config.detector.architecture));
    images.saturating_add(weights).saturating_add(maps)
}

/// Memory kept per pixel for the backward pass: a third of the measured usage.
fn kept_bytes_per_pixel(architecture: Architecture) -> u64 {
    match architecture {
        Architecture::ResNet18Fpn | Architecture::ResNet50HalfC4 | Architecture::ResNet50HalfFpn => 250,
        Architecture::ResNet50Fpn | Architecture::ResNet50C4 | Architecture::Vgg16 => 500,
    }
}

/// Returns the memory limit of this process in bytes: the computer's, or its cgroup's if limited. `None` if unknown.
#[expect(clippy::disallowed_methods, reason = "a short system file")]
pub fn machine_memory_bytes() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let kilobytes = |key: &str| -> Option<u64> {
        let line = meminfo.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let total = (kilobytes("MemTotal:")? + kilobytes("SwapTotal:").unwrap_or(0)) << 10;
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|file| std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok());
    Some(limit.map_or(total, |limit| total.min(limit)))
}

fn is_on_gpu(config: &RoundConfig) -> bool {
    config.device.trim().to_ascii_lowercase().starts_with("cuda")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::PRESETS;

    #[test]
    fn the_least_memory_of_presets_is_modest_and_of_nonsense_is_not() {
        for (name, _) in PRESETS {
            let gigabytes = least_memory_bytes(&RoundConfig::preset(name).unwrap()) as f64 / 1e9;
            assert!(gigabytes < 2.0, "{name}: {gigabytes}");
        }
        let mut large = RoundConfig { batch_images: 1024, ..RoundConfig::preset("cpu").unwrap() };
        (large.detector.shorter_side, large.detector.longer_side_cap) = (8000, 8000);
        assert!(least_memory_bytes(&large) > 10 << 40);
        assert!(machine_memory_bytes().is_none_or(|bytes| bytes > 100 << 20));
    }

    #[test]
    fn work_grows_with_images_and_pixels() {
        let cpu = RoundConfig::preset("cpu").unwrap();
        let more = RoundConfig { batch_images: 2 * cpu.batch_images, ..cpu.clone() };
        assert_eq!(scaled_step_seconds(1.5, &cpu, &more), Some(3.0));
        let mut larger = cpu.clone();
        larger.detector.shorter_side = 600;
        let ratio = scaled_step_seconds(1.0, &cpu, &larger).unwrap();
        assert!((3.0..4.0).contains(&ratio), "{ratio}: the RoIs stay as many");
        assert_eq!(scaled_step_seconds(1.5, &cpu, &RoundConfig { device: "cuda:0".to_owned(), ..cpu.clone() }), None);
        let paper = RoundConfig::preset("paper").unwrap();
        assert_eq!(scaled_step_seconds(1.5, &cpu, &paper), None);
        let mut measured = RoundConfig { batch_images: 2, accumulate: 1, ..cpu };
        measured.sampler.batch_per_image = 128;
        let rough = rough_step_seconds(&measured, 2).unwrap();
        assert!((rough - 0.56).abs() < 1e-9, "{rough}");
    }

    #[test]
    fn every_preset_and_network_has_a_rough_duration_on_a_cpu_and_none_on_a_gpu() {
        for (name, _) in PRESETS {
            let config = RoundConfig::preset(name).unwrap();
            let hours = rough_step_seconds(&config, 2).unwrap() * config.iterations as f64 / 3600.0;
            let expected = match *name {
                "paper" | "paper-vgg16" | "paper-fpn" => 24.0..240.0,
                "overnight" => 2.0..12.0,
                _ => 0.01..0.5,
            };
            assert!(expected.contains(&hours), "{name}: {hours} hours");
            let on_gpu = RoundConfig { device: "cuda:0".to_owned(), ..config };
            assert_eq!(rough_step_seconds(&on_gpu, 2), None);
        }
        for architecture in Architecture::ALL {
            let mut config = RoundConfig::preset("cpu").unwrap();
            config.detector = crate::detector::DetectorConfig::of(architecture);
            assert!(rough_step_seconds(&config, 2).unwrap() > 0.0, "{architecture}");
        }
    }
}
