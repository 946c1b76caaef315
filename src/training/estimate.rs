//! How long a step will take, before one was made. Torch-free. Must not know how a step is made.

use super::config::RoundConfig;
use crate::detector::Architecture;

/// What a step takes of a CPU for each image, in seconds times cores.
struct Cost {
    /// For 300 pixels of the shorter side; grows with their square.
    pixels: f64,
    /// For [`MEASURED_ROIS`] RoIs, whatever the image's size.
    rois: f64,
}

/// RoIs of an image in the measured steps.
const MEASURED_ROIS: f64 = 128.0;

/// Steps of one FDDB picture at 300 and 600 pixels on a core of a server of 2023, with a third more for what several cores waste
/// (`cargo bench --bench loader`: 0.56 for the half-width pyramid). In C4 each RoI goes through a stage of the backbone.
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

/// Seconds of a step with the settings `config`, from those of a round that was `measured` with the settings `of`. `None` for another
/// network or another device, which say nothing about this one.
pub fn scaled_step_seconds(measured: f64, of: &RoundConfig, config: &RoundConfig) -> Option<f64> {
    let same = of.detector.architecture == config.detector.architecture && of.device == config.device;
    same.then(|| measured * core_seconds(config) / core_seconds(of))
}

/// Seconds of a step on a CPU with `cores` cores where nothing was measured yet; `None` for a GPU, of which nothing is known.
pub fn rough_step_seconds(config: &RoundConfig, cores: usize) -> Option<f64> {
    let on_gpu = config.device.trim().to_ascii_lowercase().starts_with("cuda");
    (!on_gpu).then(|| core_seconds(config) / cores.max(1) as f64)
}

fn core_seconds(config: &RoundConfig) -> f64 {
    let cost = cost(config.detector.architecture);
    let pixels = (f64::from(config.detector.shorter_side) / 300.0).powi(2);
    let rois = config.sampler.batch_per_image as f64 / MEASURED_ROIS;
    config.images_per_step() as f64 * (cost.pixels * pixels + cost.rois * rois)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::PRESETS;

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
            assert!(0.0 < rough_step_seconds(&config, 2).unwrap(), "{architecture}");
        }
    }
}
