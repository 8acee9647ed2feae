//! The explorer. First breadth-first, every step of every state, until there are more open states than are kept; then
//! from a bounded set of open states, one untried step of one of them at a time, drawn from a seed. A state is
//! entered once: its projection is remembered.
//!
//! Own code, because a state here holds real groups, of which only some can be kept, and a schedule must shrink.

use super::check::Broken;
use super::scene::{Scene, Setting};
use super::step::{Random, Step};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far to look.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// New projections.
    pub projections: usize,
    pub time: Duration,
    /// Open states that are kept.
    pub open: usize,
    /// One in so many new states is healed.
    pub heal_one_in: u64,
    pub seed: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Report {
    pub transitions: u64,
    pub healed: u64,
    /// The longest schedule.
    pub depth: usize,
    /// Every schedule of this length was tried.
    pub exhaustive_depth: usize,
    /// Everything there is was seen.
    pub complete: bool,
    pub violation: Option<Violation>,
}

#[derive(Debug, Clone)]
pub struct Violation {
    pub broken: Broken,
    pub schedule: Vec<Step>,
    /// It broke only after the schedule, while the visit healed.
    pub healing: bool,
}

/// The way to a state, shared with its siblings.
struct Way {
    step: Step,
    before: Option<Arc<Way>>,
}

struct Open {
    scene: Scene,
    untried: Vec<Step>,
    way: Option<Arc<Way>>,
    depth: usize,
}

/// Longer schedules are not followed further: faults without end lead nowhere new.
const MAX_DEPTH: usize = 400;

/// Explores from one scene; `seen` may be shared between the runs of one setting.
pub fn explore(scene: &Scene, budget: &Budget, seen: &mut HashSet<u64>) -> Report {
    let mut report = Report::default();
    let mut random = Random(budget.seed);
    let begun = Instant::now();
    let enough = seen.len() + budget.projections;
    seen.insert(scene.projection());
    let mut open = vec![opened(scene.clone(), None, 0)];
    let mut first = 0;
    let mut breadth_first = true;
    while let Some(at) = next_open(
        &mut open,
        &mut first,
        &mut breadth_first,
        &mut random,
        budget,
    ) {
        if seen.len() >= enough || report.transitions % 64 == 0 && begun.elapsed() > budget.time {
            return report;
        }
        let state = &mut open[at];
        let untried = &mut state.untried;
        let step = untried.swap_remove(random.below(untried.len()));
        if breadth_first {
            report.exhaustive_depth = state.depth;
        }
        let (depth, way) = (state.depth + 1, state.way.clone());
        let mut scene = state.scene.clone();
        report.transitions += 1;
        let mut outcome = scene.apply(step).map(|_| ());
        let mut healing = false;
        let new = outcome.is_ok() && seen.insert(scene.projection());
        if new {
            report.depth = report.depth.max(depth);
            if random.next().is_multiple_of(budget.heal_one_in) {
                report.healed += 1;
                outcome = scene.heal();
                healing = true;
            }
        }
        let before = way;
        let way = Arc::new(Way { step, before });
        if let Err(broken) = outcome {
            let schedule = schedule_of(&way);
            report.violation = Some(Violation {
                broken,
                schedule,
                healing,
            });
            return report;
        }
        if new && depth < MAX_DEPTH {
            open.push(opened(scene, Some(way), depth));
        }
    }
    report.complete = true;
    report
}

fn opened(scene: Scene, way: Option<Arc<Way>>, depth: usize) -> Open {
    Open {
        untried: scene.steps(),
        scene,
        way,
        depth,
    }
}

/// The open state to go on from: the oldest, or one that is drawn, the newest more often.
fn next_open(
    open: &mut Vec<Open>,
    first: &mut usize,
    breadth_first: &mut bool,
    random: &mut Random,
    budget: &Budget,
) -> Option<usize> {
    if *breadth_first {
        while *first < open.len() && open[*first].untried.is_empty() {
            *first += 1;
        }
        if open.len() - *first <= budget.open {
            if *first > budget.open {
                open.drain(..*first);
                *first = 0;
            }
            return (*first < open.len()).then_some(*first);
        }
        open.drain(..*first);
        *breadth_first = false;
    }
    while open.len() > budget.open {
        let gone = random.below(open.len());
        open.swap_remove(gone);
    }
    loop {
        if open.is_empty() {
            return None;
        }
        let newest = open.len() - 1;
        let at = if random.below(4) == 0 {
            newest - random.below(open.len().min(16))
        } else {
            random.below(open.len())
        };
        if !open[at].untried.is_empty() {
            return Some(at);
        }
        open.swap_remove(at);
    }
}

fn schedule_of(way: &Arc<Way>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = Some(way);
    while let Some(way) = at {
        steps.push(way.step);
        at = way.before.as_ref();
    }
    steps.reverse();
    steps
}

/// What a schedule leads to: the promise it breaks, after how many of its steps. Steps that cannot happen are skipped.
pub fn replay(scene: &Scene, schedule: &[Step], heal: bool) -> Option<(Broken, Vec<Step>)> {
    let mut scene = scene.clone();
    let mut taken = Vec::new();
    for step in schedule {
        match scene.apply(*step) {
            Ok(true) => taken.push(*step),
            Ok(false) => {}
            Err(broken) => {
                taken.push(*step);
                return Some((broken, taken));
            }
        }
    }
    let broken = heal.then(|| scene.heal().err()).flatten()?;
    Some((broken, taken))
}

/// The shortest schedule that is found by leaving steps out, and breaks the same promise.
pub fn shrink(setting: &Scene, violation: Violation, time: Duration) -> Violation {
    let begun = Instant::now();
    let rule = violation.broken.rule;
    let healing = violation.healing;
    let mut best = violation;
    let mut chunk = best.schedule.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        let mut shorter = false;
        while at < best.schedule.len() && begun.elapsed() < time {
            let mut fewer = best.schedule.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            match replay(setting, &fewer, healing) {
                Some((broken, schedule)) if broken.rule == rule => {
                    shorter = true;
                    best = Violation {
                        broken,
                        schedule,
                        healing,
                    };
                }
                _ => at += chunk,
            }
        }
        if begun.elapsed() >= time || (chunk == 1 && !shorter) {
            return best;
        }
        if !shorter || chunk > 1 {
            chunk = chunk.div_ceil(2).min(chunk.saturating_sub(1)).max(1);
        }
    }
}

/// For the printed name of a setting.
pub fn find<'a>(settings: &'a [Setting], name: &str) -> Option<&'a Setting> {
    settings.iter().find(|setting| setting.name == name)
}
