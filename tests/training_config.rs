//! `round.toml`: presets, round trips, errors that name file, line, key and the nearest known key.

use std::path::Path;

use quarry::detector::{Architecture, BoxLoss, ForcedOrder, SamplerKind};
use quarry::domain::HardNegativeSource;
use quarry::training::{PRESETS, RoundConfig, ScheduleKind, documented, meaning, names_setting, settings_page};

fn error_of(text: &str) -> String {
    RoundConfig::from_toml(text, "round.toml").expect_err(text).to_string()
}

#[test]
fn the_default_is_the_papers() {
    let config = RoundConfig::from_toml("", "round.toml").unwrap();
    assert_eq!(config, RoundConfig::preset("paper").unwrap());
    let schedule = config.lr_schedule();
    let rates: Vec<f64> = [0, 49_999, 50_000, 69_999].map(|step| schedule.lr(step)).to_vec();
    for (rate, expected) in rates.iter().zip([0.001, 0.001, 0.0001, 0.0001]) {
        assert!((rate - expected).abs() < 1e-12, "{rates:?}");
    }
    assert_eq!((config.iterations, config.detector.shorter_side, config.flip), (70_000, 600, 0.5));
    assert_eq!(
        (config.sampler.fg_iou, config.sampler.bg_iou, config.sampler.positive_fraction),
        (0.5, (0.1, 0.5), 0.25)
    );
}

#[test]
fn every_preset_is_sound_and_survives_its_file() {
    for (name, _) in PRESETS {
        let config = RoundConfig::preset(name).unwrap();
        config.check().unwrap();
        config.detector.validate().unwrap();
        let text = config.to_toml();
        let back = RoundConfig::from_toml(&text, "round.toml").unwrap_or_else(|e| panic!("{name}: {e}\n{text}"));
        assert_eq!(back, config, "{text}");
        for known in documented() {
            let (key, meaning) = (&known.key, &known.meaning);
            let name = key.rsplit('.').next().unwrap_or(key);
            let line =
                if known.is_table { format!("\n# {meaning}\n[{key}]\n") } else { format!("\n# {meaning}\n{name} = ") };
            assert!(!meaning.is_empty() && text.contains(&line), "{key} is missing or without its comment in\n{text}");
        }
        assert!(
            text.find("\npreset = ") < text.find("\nseed = ") && text.find("\nprefetch = ") < text.find("\n[detector]")
        );
        let fewest = config.iterations / config.checkpoint_every;
        assert!(fewest >= 10, "{name} leaves {fewest} checkpoints");
    }
}

#[test]
fn every_schedule_over_every_preset_survives_its_file() {
    for (name, _) in PRESETS {
        for (word, kind) in
            [("step", ScheduleKind::Step), ("cosine", ScheduleKind::Cosine), ("constant", ScheduleKind::Constant)]
        {
            let config = RoundConfig::from_toml(&format!("preset = \"{name}\"\nschedule = \"{word}\""), "f").unwrap();
            config.check().unwrap();
            let own = RoundConfig::preset(name).unwrap();
            assert_eq!(own.changed_by(&format!("schedule = \"{word}\""), "f").unwrap(), config);
            let milestones = if kind == ScheduleKind::Step { own.milestones } else { vec![] };
            assert_eq!((config.schedule, &config.milestones), (kind, &milestones), "{name} {word}");
            let text = config.to_toml();
            assert_eq!(RoundConfig::from_toml(&text, "f").unwrap(), config, "{name} {word}");
            assert_eq!(RoundConfig::from_stored(&text, "f").unwrap(), config, "{name} {word}");
        }
    }
}

#[test]
fn milestones_that_an_older_version_stored_beside_a_cosine_mean_nothing() {
    let config = RoundConfig::from_toml("schedule = \"cosine\"", "f").unwrap();
    let text = config.to_toml();
    let old = text.replace("\nmilestones = []", "\nmilestones = [0.7142857142857143]");
    assert_ne!(old, text);
    assert_eq!(RoundConfig::from_stored(&old, "f").unwrap(), config);
    assert!(error_of(&old).contains("`milestones`"));
    let stale = RoundConfig { schedule: ScheduleKind::Cosine, ..RoundConfig::default() };
    assert!(stale.check().is_err(), "what a file could not say is refused before it is written");
}

#[test]
fn rates_pass_between_rounds_whatever_their_schedules() {
    let of = |text: &str| RoundConfig::from_toml(text, "f").unwrap();
    let (paper, late, cosine) = (of(""), of("base_lr = 0.5\nmilestones = [0.9]"), of("schedule = \"cosine\""));
    let check = |own: &RoundConfig, form: &RoundConfig, milestones: &[f64]| {
        let config = own.with_rates_of(form);
        assert_eq!((config.base_lr, config.schedule), (form.base_lr, own.schedule));
        assert_eq!(config.milestones, milestones);
        assert!(own.binding_differences(&config).is_empty());
        assert_eq!(of(&config.to_toml()), config);
    };
    check(&paper, &late, &[0.9]);
    check(&late, &cosine, &[0.9]);
    check(&cosine, &late, &[]);
}

#[test]
fn every_key_is_documented_and_nothing_else_is() {
    let mut keys = Vec::new();
    leaves("", &toml::Table::try_from(RoundConfig::default()).unwrap(), &mut keys);
    for key in &keys {
        assert!(meaning(key).is_some(), "{key} has no comment");
    }
    for known in documented().iter().filter(|known| !known.is_table) {
        assert!(keys.contains(&known.key), "{} is no setting", known.key);
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&page, settings_page()).unwrap();
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    assert_eq!(
        written,
        settings_page(),
        "UPDATE_DOCS=1 cargo test --test training_config documented rewrites docs/settings.md"
    );
}

fn leaves(path: &str, table: &toml::Table, keys: &mut Vec<String>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) => leaves(&full, inner, keys),
            _ => keys.push(full),
        }
    }
}

#[test]
fn the_papers_networks_are_one_choice_away() {
    let check = |name: &str, architecture: Architecture, hidden: i64, dropout: f64, levels: usize| {
        let config = RoundConfig::preset(name).unwrap();
        config.check().unwrap();
        let detector = &config.detector;
        assert_eq!((detector.architecture, detector.roi.hidden, detector.roi.dropout), (architecture, hidden, dropout));
        assert_eq!((detector.anchors.sizes.len(), detector.rpn.min_size), (levels, 16.0), "{name}");
        let sampler = &config.sampler;
        assert_eq!((sampler.fg_exclusive, sampler.rpn_inside_only, sampler.box_beta), (true, true, 1.0), "{name}");
        assert_eq!((config.iterations, config.base_lr, config.bias_lr_factor), (70_000, 0.001, 2.0), "{name}");
    };
    check("paper", Architecture::ResNet50C4, 0, 0.0, 1);
    check("paper-vgg16", Architecture::Vgg16, 4096, 0.5, 1);
    check("paper-fpn", Architecture::ResNet50Fpn, 1024, 0.0, 5);
}

#[test]
fn another_architecture_takes_its_own_defaults_along() {
    let check = |text: &str| {
        let paper = RoundConfig::preset("paper").unwrap();
        let changed = paper.changed_by(text, "--set").unwrap();
        changed.check().unwrap();
        assert_eq!(changed.detector.roi.hidden, 4096, "{text}");
        assert_eq!(changed.detector, RoundConfig::from_toml(text, "round.toml").unwrap().detector, "{text}");
        changed
    };
    check("detector.architecture = \"vgg16\"");
    let changed = check("detector = { architecture = \"vgg16\", shorter_side = 400 }");
    assert_eq!(changed.detector.shorter_side, 400);
    // The same architecture again changes nothing that was set before.
    let again = changed.changed_by("detector.architecture = \"vgg16\"", "--set").unwrap();
    assert_eq!(again, changed);
}

#[test]
fn a_stored_round_goes_on_by_the_rules_that_it_began_with() {
    let new_keys = [
        "forced_fraction",
        "fg_exclusive",
        "rpn_forced_below",
        "rpn_forced_fraction",
        "rpn_inside_only",
        "box_beta",
        "forced_order",
        "box_loss",
        "box_weight",
        "focal_gamma",
        "background_weight",
        "ema",
        "mine_every",
        "mine_images",
    ];
    for name in ["paper", "cpu", "sample"] {
        let text = RoundConfig::preset(name).unwrap().to_toml();
        let is_new = |line: &&str| new_keys.iter().any(|key| line.starts_with(&format!("{key} =")));
        let old: Vec<&str> = text.lines().filter(|line| !is_new(line)).collect();
        let stored = RoundConfig::from_stored(&old.join("\n"), "stored").unwrap();
        assert_eq!((stored.ema, stored.mine_every), (0.0, 0), "{name}");
        let sampler = stored.sampler;
        assert_eq!((sampler.forced_order, sampler.box_loss), (ForcedOrder::Score, BoxLoss::SmoothL1), "{name}");
        assert_eq!((sampler.box_weight, sampler.focal_gamma, sampler.background_weight), (1.0, 0.0, 1.0), "{name}");
        assert_eq!((sampler.rpn_forced_below, sampler.rpn_forced_fraction), (0.5, 1.0), "{name}");
        assert_eq!((sampler.fg_exclusive, sampler.rpn_inside_only, sampler.forced_fraction), (false, false, 1.0));
        assert!((sampler.box_beta - 1.0 / 9.0).abs() < 1e-15, "{name}");
        // A file written by a user follows today's rules.
        let written = RoundConfig::from_toml(&old.join("\n"), "round.toml").unwrap().sampler;
        assert_eq!((written.rpn_forced_below, written.rpn_forced_fraction), (0.3, 0.25), "{name}");
    }
}

#[test]
fn every_preset_trains_as_before_unless_a_new_setting_is_named() {
    for (name, _) in PRESETS {
        let config = RoundConfig::preset(name).unwrap();
        let sampler = &config.sampler;
        assert_eq!((config.ema, config.mine_every, sampler.kind), (0.0, 0, SamplerKind::Random), "{name}");
        assert_eq!((sampler.forced_order, sampler.box_loss), (ForcedOrder::Score, BoxLoss::SmoothL1), "{name}");
        assert_eq!((sampler.box_weight, sampler.focal_gamma, sampler.background_weight), (1.0, 0.0, 1.0), "{name}");
    }
    let text = "ema = 0.999\nmine_every = 200\nmine_images = 50\n[sampler]\nkind = \"mined-ohem\"\nforced_order = \"loss\"\n\
                box_loss = \"giou\"\nbox_weight = 5.0\nfocal_gamma = 2.0\nbackground_weight = 0.5\n";
    let config = RoundConfig::from_toml(text, "round.toml").unwrap();
    assert_eq!((config.sampler.kind, config.sampler.box_loss), (SamplerKind::MinedOhem, BoxLoss::Giou));
    assert_eq!(config.hard_negatives, HardNegativeSource::Confirmed, "mined-ohem needs them");
    assert_eq!(RoundConfig::from_stored(&config.to_toml(), "f").unwrap(), config);
    for (text, key) in [
        ("ema = 1.0", "`ema`"),
        ("mine_images = 0", "`mine_images`"),
        ("sampler.focal_gamma = -1.0", "focal_gamma"),
        ("sampler.background_weight = -0.5", "background_weight"),
        ("sampler.box_weight = -1.0", "box_weight"),
        ("sampler.box_loss = \"ciou\"", "box_loss"),
        ("sampler.forced_order = \"size\"", "forced_order"),
        ("sampler.kind = \"mined\"", "kind"),
    ] {
        assert!(error_of(text).contains(key), "{text}: {}", error_of(text));
    }
}

#[test]
fn a_round_without_hard_negatives_is_a_clean_baseline_unless_it_is_told_otherwise() {
    let check = |text: &str, expected: bool| {
        let config = RoundConfig::from_toml(text, "round.toml").unwrap();
        assert_eq!(config.learns_corrections(), expected, "{text}");
    };
    check("", true);
    check("hard_negatives = \"none\"", false);
    check("hard_negatives = \"none\"\nground_truth = \"corrected\"", true);
    check("hard_negatives = \"unreviewed\"", true);
    check("hard_negatives = \"confirmed\"\nground_truth = \"imported\"", false);
    check("sampler.kind = \"ohem\"", false);
    assert!(error_of("ground_truth = \"both\"").contains("`ground_truth`"));
}

#[test]
fn curves_grow_while_the_presets_train() {
    for (name, _) in PRESETS {
        let config = RoundConfig::preset(name).unwrap();
        let tests = config.iterations.checked_div(config.evaluate_every);
        assert!(tests.is_some_and(|tests| tests >= 2), "{name} is tested {tests:?} times");
    }
}

#[test]
fn settings_from_before_mining_had_its_own_mean_what_they_did() {
    let config = RoundConfig::preset("cpu").unwrap();
    let text = config.to_toml();
    let old = &text[..text.find("\n[mining]").unwrap()];
    let old = format!("{old}{}", &text[text.find("\n[sampler]").unwrap()..]);
    assert_eq!(RoundConfig::from_toml(&old, "round.toml").unwrap(), config);
    let mining = config.mining;
    assert_eq!((mining.score_threshold, mining.nms_iou, mining.max_detections), (0.05, 0.5, 100));
}

#[test]
fn what_a_round_can_go_on_with_is_told_from_what_it_cannot() {
    let own = RoundConfig::preset("cpu").unwrap();
    let check = |text: &str, binding: &[&str]| {
        let asked = own.changed_by(text, "round.toml").unwrap();
        let found: Vec<String> = own.binding_differences(&asked).into_iter().map(|d| d.key).collect();
        assert_eq!(found, binding, "{text}");
    };
    check(
        "base_lr = 0.001\nlr_factor = 0.5\nmilestones = [0.5]\nwarmup = 0.2\nwarmup_factor = 0.5\nclip_norm = 1\nmax_loss = 5",
        &[],
    );
    check("device = \"cpu\"\nworkers = 3\nevaluate_every = 5\ncheckpoint_every = 5\n[mining]\nmax_detections = 5", &[]);
    check("momentum = 0.5\nbase_lr = 0.5", &["momentum"]);
    check("iterations = 9\nhard_negatives = \"none\"", &["hard_negatives", "iterations"]);
    check("[sampler]\nfg_iou = 0.6", &["sampler.fg_iou"]);
}

#[test]
fn one_number_stretches_the_schedule() {
    let config = RoundConfig::from_toml("iterations = 700", "round.toml").unwrap();
    let schedule = config.lr_schedule();
    assert_eq!(schedule.milestones, [500]);
    let sample = RoundConfig::from_toml("preset = \"sample\"\niterations = 1400", "round.toml").unwrap().lr_schedule();
    assert_eq!((sample.warmup, sample.milestones), (140, vec![1050]));
    let check = |text: &str, expected: (u64, u64)| {
        let config = RoundConfig::from_toml(text, "round.toml").unwrap();
        assert_eq!((config.evaluate_every, config.checkpoint_every), expected, "{text}");
    };
    check("", (10_000, 1000));
    check("iterations = 5000", (714, 71));
    check("iterations = 5", (1, 1));
    check("iterations = 700000", (100_000, 10_000));
    check("iterations = 700\ncheckpoint_every = 300", (100, 300));
    check("evaluate_every = 0\niterations = 700", (0, 10));
    check("preset = \"cpu\"\niterations = 70000", (20_416, 4083));
    check("iterations = 1000000000\nmilestones = []", (142_857_142, 14_285_714));
}

#[test]
fn iterations_that_go_down_and_up_again_leave_the_intervals_as_they_were() {
    for (name, _) in PRESETS {
        let preset = RoundConfig::preset(name).unwrap();
        let own = RoundConfig { checkpoint_every: 11, ..preset.clone() };
        let never = RoundConfig { evaluate_every: 0, checkpoint_every: 0, ..preset.clone() };
        let (mut follows, mut keeps, mut stays) = (preset.clone(), own.clone(), never.clone());
        for iterations in [preset.iterations / 2, 3, 1, 40, 1_000_000, preset.iterations] {
            follows.set_iterations(iterations);
            keeps.set_iterations(iterations);
            stays.set_iterations(iterations);
            assert!(follows.evaluate_every > 0 && follows.checkpoint_every > 0, "{name} {iterations}");
            assert_eq!((keeps.checkpoint_every, stays.evaluate_every, stays.checkpoint_every), (11, 0, 0), "{name}");
            assert_eq!(keeps.evaluate_every, follows.evaluate_every, "{name}");
        }
        assert_eq!((follows, keeps, stays), (preset, own, never));
    }
}

#[test]
fn values_are_laid_over_the_preset() {
    let text = "preset = \"cpu\"\nbase_lr = 1\n\n[sampler]\nkind = \"ohem\"\nbg_iou = [0, 0.5]\n[detector.anchors]\nratios = [1, 2]\n";
    let config = RoundConfig::from_toml(text, "round.toml").unwrap();
    let expected = [
        "base_lr 0.01 -> 1.0",
        "detector.anchors.ratios [1.2, 1.6] -> [1.0, 2.0]",
        "hard_negatives \"confirmed\" -> \"none\"",
        "sampler.bg_iou [0.1, 0.5] -> [0.0, 0.5]",
        "sampler.kind \"random\" -> \"ohem\"",
    ];
    let found: Vec<String> = RoundConfig::preset("cpu")
        .unwrap()
        .differences(&config)
        .into_iter()
        .map(|d| format!("{} {} -> {}", d.key, d.before, d.after))
        .collect();
    assert_eq!(found, expected);
    let other = RoundConfig::from_toml("[detector]\narchitecture = \"vgg16\"\nshorter_side = 500\n", "f").unwrap();
    assert_eq!((other.detector.roi.hidden, other.detector.shorter_side), (4096, 500));
}

#[test]
fn mistakes_are_named_with_line_and_nearest_key() {
    let check = |text: &str, expected: &[&str]| {
        let message = error_of(text);
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    };
    check("seed = 1\nbase_learning = 3\n", &["round.toml:2", "`base_learning`", "`base_lr`"]);
    check("seed = 1\n\n[sampler]\nfg_iuo = 0.6\n", &["round.toml:4", "`sampler.fg_iuo`", "`sampler.fg_iou`"]);
    check("seed = 1\nfg_iou = 0.6", &["round.toml:2", "`fg_iou`", "did you mean `sampler.fg_iou`"]);
    check("[sampler]\nbase_lr = 1", &["round.toml:2", "did you mean `base_lr`"]);
    check("[rpn]\nmin_size = 1", &["round.toml:1", "did you mean `detector.rpn`"]);
    check("nms_iou = 0.4", &["`detector.detection.nms_iou` or `detector.rpn.nms_iou` or `mining.nms_iou`"]);
    check("\nseed = \"one\"", &["round.toml:2", "`seed`", "an integer", "a string"]);
    check("seed = -4", &["round.toml:1", "`seed`"]);
    check("flip = 1.5", &["round.toml:1", "`flip`", "1.5"]);
    check("hard_negatives = \"some\"", &["round.toml:1", "`hard_negatives`", "unreviewed"]);
    check("\n\nseed = = 1", &["round.toml:3", "TOML"]);
    check("preset = \"papper\"", &["round.toml:1", "`paper`"]);
    check("seed = 1\n[detector]\narchitecture = \"resnet51\"", &["round.toml:3", "resnet50-half-fpn"]);
    check("seed = 1\n[detector]\nshorter_side = 900\nlonger_side_cap = 800", &["detector", "longer_side_cap"]);
    check("train_folds = [1, 2]\ntest_folds = [2]", &["round.toml:1", "fold 2"]);
    check("schedule = \"cosine\"\nmilestones = [0.5]", &["round.toml:2", "`milestones`"]);
    check("warmup = 0.9", &["round.toml:1", "milestones"]);
    check("\n[sampler]\nfg_iou = 0.3", &["round.toml:", "`sampler.bg_iou`", "fg_iou"]);
    check("iterations = 0", &["round.toml:1", "at least 1"]);
    check("momentum = 1.0", &["`momentum`"]);
    check("[sampler]\nrpn_bg_iou = 0.8", &["round.toml:2", "`sampler.rpn_bg_iou`", "rpn_fg_iou"]);
    for nonsense in ["[nan, 0.5]", "[0.1, nan]", "[nan, nan]", "[0.1, inf]", "[-inf, 0.5]", "[0.5, 0.1]", "[-0.1, 0.5]"]
    {
        check(&format!("[sampler]\nbg_iou = {nonsense}"), &["round.toml:2", "`sampler.bg_iou`", "interval of IoU"]);
    }
    check("[sampler]\nohem_nms_iou = 1.5", &["round.toml:2", "`sampler.ohem_nms_iou`", "within 0 and 1"]);
    check("[sampler]\nohem_nms_iou = nan", &["`sampler.ohem_nms_iou`"]);
    check("[sampler]\nrpn_fg_iou = 1.5", &["round.toml:2", "`sampler.rpn_fg_iou`", "within 0 and 1"]);
    check("[sampler]\nrpn_positive_fraction = -1", &["`sampler.rpn_positive_fraction`"]);
    check("[sampler]\nbatch_per_image = 0", &["`sampler.batch_per_image`", "at least 1"]);
    check("[sampler]\nrpn_batch_per_image = 0", &["`sampler.rpn_batch_per_image`", "at least 1"]);
    check("[mining]\nscore_threshold = 2", &["`mining.score_threshold`"]);
    check("[mining]\nmax_detections = 0", &["`mining.max_detections`"]);
    check("[mining]\nmax_detection = 1", &["`mining.max_detections`"]);
}

#[test]
fn numbers_that_a_file_cannot_hold_are_refused_before_it_is_written() {
    let check = |config: RoundConfig, key: &str| {
        let message = config.check().unwrap_err().to_string();
        assert!(message.contains(&format!("`{key}`")) && message.contains("9223372036854775807"), "{message}");
    };
    let largest = RoundConfig { seed: i64::MAX as u64, ..RoundConfig::default() };
    largest.check().unwrap();
    assert_eq!(RoundConfig::from_toml(&largest.to_toml(), "f").unwrap(), largest);
    check(RoundConfig { seed: 1 << 63, ..RoundConfig::default() }, "seed");
    check(RoundConfig { iterations: u64::MAX, ..RoundConfig::default() }, "iterations");
    check(RoundConfig { keep_every: u64::MAX, ..RoundConfig::default() }, "keep_every");
}

#[test]
fn ohem_has_no_hard_negatives_unless_the_file_names_them() {
    let check = |text: &str, expected: HardNegativeSource| {
        let config = RoundConfig::from_toml(text, "round.toml").unwrap();
        assert_eq!(config.hard_negatives, expected, "{text}");
        assert_eq!(RoundConfig::from_toml(&config.to_toml(), "round.toml").unwrap(), config);
    };
    check("", HardNegativeSource::Confirmed);
    check("sampler.kind = \"ohem\"", HardNegativeSource::None);
    check("hard_negatives = \"unreviewed\"\n[sampler]\nkind = \"ohem\"", HardNegativeSource::Unreviewed);
    let ohem = RoundConfig::from_toml("sampler.kind = \"ohem\"\nhard_negatives = \"confirmed\"", "f").unwrap();
    assert_eq!(ohem.changed_by("seed = 5", "f").unwrap().hard_negatives, HardNegativeSource::Confirmed);
}

#[test]
fn a_file_is_asked_which_settings_it_names() {
    let text = "# hard_negatives = \"none\"\nseed = 1\n[sampler]\nkind = \"ohem\"";
    assert!(names_setting(text, "seed") && names_setting(text, "sampler.kind"));
    assert!(!names_setting(text, "hard_negatives") && !names_setting(text, "kind") && !names_setting("= 1", "seed"));
}

#[test]
fn folds_are_split() {
    let config = RoundConfig::from_toml("test_folds = [8]\ntrain_folds = [1, 2]", "f").unwrap();
    assert!(config.trains_on(Some("1")) && config.trains_on(None) && config.tests_on(Some("8")));
    assert!(!config.trains_on(Some("8")) && !config.trains_on(Some("3")) && !config.tests_on(None));
    let all = RoundConfig::from_toml("test_folds = [8]", "f").unwrap();
    assert!(all.trains_on(Some("3")) && !all.trains_on(Some("8")));
    let named = RoundConfig::from_toml("test_splits = [\"val\", 8]", "f").unwrap();
    assert!(named.tests_on(Some("val")) && named.tests_on(Some("8")) && named.trains_on(Some("train")));
    for aside in ["test", "val", "val2017", "Validation"] {
        assert!(!named.trains_on(Some(aside)), "{aside} is set aside");
    }
    let asked = RoundConfig::from_toml("test_splits = [\"test\"]\ntrain_splits = [\"train\", \"val\"]", "f").unwrap();
    assert!(asked.trains_on(Some("val")) && !asked.trains_on(Some("test")));
    let twice = error_of("test_folds = [8]\ntest_splits = [\"8\"]");
    assert!(twice.contains("round.toml:1") && twice.contains("`test_splits`"), "{twice}");
    assert!(error_of("test_folds = [0]").contains("numbered from 1"));
}

#[test]
fn a_round_is_tested_on_folds_or_on_a_dataset() {
    let config = RoundConfig::from_toml("test_dataset = \"FDDB\"", "round.toml").unwrap();
    assert!(config.test_splits.is_empty(), "the preset's test fold is meant for folds");
    assert_eq!(RoundConfig::from_toml(&config.to_toml(), "round.toml").unwrap(), config);
    let both = error_of("test_dataset = \"FDDB\"\ntest_folds = [8]");
    assert!(both.contains("round.toml:2") && both.contains("`FDDB`"), "{both}");
}
