//! `quarry status --project DIR`.

use serde::Serialize;

use super::Context;
use super::doctor::Diagnosis;
use crate::detector::GpuState;
use crate::domain::{counted, counted_as, printable, printable_line};
use crate::workflow::Project;
use crate::workflow::status::{RoundStatus, Status, status};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  quarry status --project faces --json")]
pub struct StatusArgs {}

/// The project, and the GPU if the driver shows one.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    project: &'a Status,
    gpu: Option<Diagnosis>,
}

pub fn run(_: &StatusArgs, context: &Context, gpu: Option<&GpuState>) -> anyhow::Result<()> {
    let status = status(&Project::open(&context.project_dir())?)?;
    let gpu = gpu.filter(|state| **state != GpuState::None);
    let report = Report { project: &status, gpu: gpu.map(Diagnosis::from) };
    context.print(&report, || match gpu {
        Some(state) => format!("{}\nGPU: {state}", text(&status)),
        None => text(&status),
    })
}

fn text(status: &Status) -> String {
    let mut lines = vec![format!("{} ({})", printable(&status.name), printable(&status.dir))];
    lines.extend(status.notes.iter().map(|note| format!("Note: {}", printable_line(note))));
    if status.datasets.is_empty() {
        lines.push("No images yet: `quarry import fddb DIR --project P`.".to_owned());
    }
    for d in &status.datasets {
        let (name, kind, root) = (printable(&d.name), printable(&d.kind), printable(&d.root));
        let (images, objects) = (counted(d.images, "image"), counted(d.objects, "object"));
        lines.push(format!("Dataset {name} ({kind}): {images}, {objects}, at {root}"));
        lines.extend(d.away.iter().map(|away| format!("  Away: {}", printable_line(away))));
        if d.removed > 0 {
            lines.push(format!(
                "  {}, not used for training or testing",
                counted_as(
                    d.removed,
                    "image was removed: kept with its verdicts",
                    "images were removed: kept with their verdicts"
                )
            ));
        }
        if d.copies > 0 {
            lines.push(format!(
                "  {} not used: the same bytes count in another dataset",
                counted_as(d.copies, "image is", "images are")
            ));
        }
    }
    for (k, r) in status.rounds.iter().enumerate() {
        let before = status.rounds[..k].iter().rfind(|earlier| earlier.model == r.model);
        lines.push(format!(
            "Round {}{}: {}; {}: {} confirmed, {} rejected, {}, {} wrong class, {} skipped, {} undecided{}",
            r.round,
            of_model(r),
            if r.interrupted { "interrupted (continue with `quarry train --resume`)" } else { r.state },
            counted(r.candidates, "candidate"),
            r.confirmed,
            r.rejected,
            counted(r.missed_objects, "missed object"),
            r.wrong_class,
            r.skipped,
            r.undecided,
            match r.decisions {
                decisions if decisions < r.undecided => format!(" in {}", counted(decisions, "decision")),
                _ => String::new(),
            }
        ));
        if let Some(done) = r.mining_done {
            lines.push(format!(
                "  mining is not finished ({}): continue with `quarry mine --round {}`",
                counted(done, "image"),
                r.round
            ));
        }
        if r.estimated + r.inherited > 0 {
            lines.push(format!(
                "  decided as in an earlier round: {}; estimated from a random sample: {}",
                r.inherited, r.estimated
            ));
        }
        if let Some(o) = &r.over_rounds {
            lines.push(format!("  candidates: {} new, {} persist, {} came back", o.new, o.persisting, o.came_back));
            let (gone, persist, back) =
                (o.hard_negatives_gone, o.hard_negatives_persisting, o.hard_negatives_coming_back);
            if gone + persist + back > 0 {
                lines.push(format!(
                    "  hard negatives in the next round: {gone} gone, {persist} persist, {back} gone and come back later"
                ));
            }
        }
        for c in &r.curves {
            let at: Vec<String> = c.at.iter().map(|(fp, d, k)| format!("{fp} FP {d:.4}/{k:.4}")).collect();
            let mark = match c.unreadable {
                0 => String::new(),
                n => format!(
                    " ({} count as missed)",
                    counted_as(
                        n,
                        "test image could not be read; its objects",
                        "test images could not be read; their objects"
                    )
                ),
            };
            lines.push(format!("  {} at step {}{mark}: discrete/continuous TPR at {}", c.label, c.step, at.join(", ")));
            if let Some(now) = &c.operating {
                let was = before.and_then(|earlier| earlier.curves.iter().find(|was| was.label == c.label));
                let was = was.and_then(|was| was.operating.as_ref());
                lines.push(format!("    {}", now.text(was)));
            }
        }
    }
    lines.join("\n")
}

/// Formats ` (yolo11-v3, its round 2)` for a round with imported detections.
fn of_model(round: &RoundStatus) -> String {
    match (&round.model, round.model_round) {
        (Some(model), Some(of_model)) => format!(" ({}, its round {of_model})", printable(model)),
        _ => String::new(),
    }
}
