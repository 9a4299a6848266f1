//! What people read: arguments, progress, failures, the table of planted bugs.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people; this is what it says")]

use std::fmt;
use std::process::ExitCode;
use std::time::Instant;

use crate::faults::{self, Fault};
use crate::regressions;
use crate::run::{self, Plan, Progress, Sum};
use crate::settings::Settings;
use crate::shrink;
use crate::sometimes::{ENOUGH_SEEDS, PATHS, RARE};

/// A line tells how far a run is every so many seeds.
const TOLD_EVERY: u64 = 10_000;

/// What to do.
#[derive(Debug)]
pub(crate) struct Arguments {
    seeds: u64,
    first: Option<u64>,
    threads: usize,
    all: bool,
    trace: bool,
    mutants: bool,
    only: Option<String>,
}

/// Why the arguments make no sense.
#[derive(Debug)]
pub(crate) struct Problem(String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Arguments {
    /// Reads `--seeds N --seed X --threads N --all --trace --mutants --only NAME`.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Problem> {
        let mut arguments = Self {
            seeds: 1000,
            first: None,
            threads: run::processors(),
            all: false,
            trace: false,
            mutants: false,
            only: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Problem(format!("{word} needs a value")));
            match word.as_str() {
                "--seeds" => arguments.seeds = number(&value()?)?,
                "--seed" => arguments.first = Some(number(&value()?)?),
                "--threads" => arguments.threads = usize::try_from(number(&value()?)?).unwrap_or(1),
                "--all" => arguments.all = true,
                "--trace" => arguments.trace = true,
                "--mutants" => arguments.mutants = true,
                "--only" => arguments.only = Some(value()?),
                _ => return Err(Problem(format!("'{word}' is not an argument"))),
            }
        }
        Ok(arguments)
    }
}

fn number(text: &str) -> Result<u64, Problem> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| Problem(format!("'{text}' is not a number")))
}

/// Says what is wrong with the arguments.
pub(crate) fn complain(problem: &Problem) -> ExitCode {
    eprintln!(
        "sim: {problem}; use --seeds N [--seed X] [--threads N] [--all] [--trace], or --mutants [--seed X] [--only NAME]"
    );
    ExitCode::from(2)
}

/// Does what is asked.
pub(crate) fn carry_out(arguments: &Arguments) -> ExitCode {
    if arguments.mutants {
        return mutants(arguments);
    }
    let first = arguments.first.unwrap_or_else(random_seed);
    println!("sim: {} seeds from {first}", arguments.seeds);
    if arguments.trace {
        for line in run::seed(first, true).trace {
            println!("{line}");
        }
    }
    let began = Instant::now();
    if arguments.seeds > 1 && !remembered() {
        return ExitCode::FAILURE;
    }
    let plan = Plan { first, seeds: arguments.seeds, threads: arguments.threads, all: arguments.all };
    let sum = run::many(plan, || {}, tell_progress);
    tell(&sum, began);
    let paths_missing = tell_paths(&sum);
    let failed = u8::from(sum.first_failure().is_some() || paths_missing);
    println!("test result: simulation {} passed; {failed} failed; 0 ignored", 1 - failed);
    tell_failures(&sum);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs the seeds that found something once.
fn remembered() -> bool {
    for (seed, what) in regressions::SEEDS {
        if run::seed(seed, false).violation.is_some() {
            println!("FAILED: seed {seed} found this before: {what}");
            tell_failure(seed);
            return false;
        }
    }
    println!("sim: {} seeds that found something once find nothing", regressions::SEEDS.len());
    true
}

fn tell_progress(progress: Progress) {
    match progress {
        Progress::Begun(seeds) if seeds > 0 && seeds.is_multiple_of(TOLD_EVERY) => {
            println!("sim: {seeds} seeds");
        }
        Progress::Begun(_) => {}
        Progress::Failed(seed) => println!("sim: seed {seed} fails"),
    }
}

fn tell_failures(sum: &Sum) {
    if let Some(seed) = sum.undetermined {
        println!("FAILED: seed {seed} did two different things: something is not deterministic");
    }
    if let Some(seed) = sum.by_wall {
        println!("FAILED: seed {seed}: I17: with other wall clocks something else happened");
        println!("        G10: no decision depends on wall time does not hold");
    }
    for seed in &sum.failed {
        tell_failure(*seed);
    }
    if sum.failed.len() > 1 {
        println!("FAILED: {} seeds of {}: {:?}", sum.failed.len(), sum.seeds, sum.failed);
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    // The standard library's hash keys are random in each process.
    std::hash::RandomState::new().build_hasher().finish() >> 16
}

fn tell(sum: &Sum, began: Instant) {
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(u32::try_from(sum.seeds).unwrap_or(u32::MAX)) / seconds * 60.0;
    println!(
        "sim: {} seeds, {} events, {seconds:.1} s, {rate:.0} seeds a minute; {} of {} seeds ran twice, with other wall clocks, and did the same",
        sum.seeds,
        sum.events,
        sum.twice - u64::from(sum.undetermined.is_some()) - u64::from(sum.by_wall.is_some()),
        sum.twice
    );
}

/// Tells how many seeds took each path; whether a run that is large enough left one out.
fn tell_paths(sum: &Sum) -> bool {
    if sum.seeds < 2 {
        return false;
    }
    println!("sim: paths taken, in so many seeds:");
    for name in PATHS.iter().chain(&RARE) {
        println!("  {:>8} {name}", sum.sometimes.of(name));
    }
    let (missing, unknown) = (sum.sometimes.missing(), sum.sometimes.unknown());
    println!("sim: {} of {} paths taken", PATHS.len() - missing.len(), PATHS.len());
    let wrong = !unknown.is_empty() || (sum.seeds >= ENOUGH_SEEDS && !missing.is_empty());
    if wrong {
        println!("FAILED: paths never taken: {missing:?}; paths not in the list: {unknown:?}");
    }
    wrong
}

fn tell_failure(seed: u64) {
    let ended = run::seed(seed, false);
    let Some(violation) = ended.violation else {
        println!("FAILED: seed {seed} failed once and does not fail again: something is not deterministic");
        return;
    };
    println!("FAILED: seed {seed}: {} at {} s: {}", violation.invariant, violation.at, violation.words);
    println!("        {} does not hold", violation.guarantee());
    let settings = Settings::of(seed);
    let faults = faults::plan(&settings);
    let all = faults.len();
    let fewer = shrink::shrink(seed, faults, violation.invariant);
    println!("        it takes {} of the {all} faults:", fewer.len());
    for Fault { at, lasts, what } in &fewer {
        println!("          at {at} s for {:.3} s: {what:?}", lasts.as_secs_f64());
    }
    let ended = run::with_faults(seed, fewer, true);
    if let Some(violation) = &ended.violation {
        println!("        with these: {} at {} s: {}", violation.invariant, violation.at, violation.words);
    }
    println!("        the last of what happened:");
    for line in ended.trace.iter().rev().take(40).rev() {
        println!("          {line}");
    }
    println!("replay: make sim SEEDS=1 SEED={seed}");
}

#[cfg(not(feature = "mutants"))]
fn mutants(_arguments: &Arguments) -> ExitCode {
    eprintln!("sim: built without planted bugs; use make sim-mutants");
    ExitCode::from(2)
}

/// Runs every planted bug until it is caught.
#[cfg(feature = "mutants")]
fn mutants(arguments: &Arguments) -> ExitCode {
    use dockmgr_core::mutants::Mutant;
    /// Seeds in which a planted bug must be caught.
    const MOST_SEEDS: u64 = 2000;
    let first = arguments.first.unwrap_or_else(random_seed);
    println!("sim-mutants: seeds from {first}");
    let began = Instant::now();
    let (mut caught, mut tried) = (0, 0);
    for mutant in Mutant::ALL.iter().copied() {
        if arguments.only.as_deref().is_some_and(|only| only != mutant.name()) {
            continue;
        }
        tried += 1;
        let most = if arguments.only.is_some() { arguments.seeds.max(MOST_SEEDS) } else { MOST_SEEDS };
        let verdict = match hunt(mutant, first, most) {
            Some((seed, tried, violation)) => {
                caught += 1;
                format!("{:<4} after {tried:>5} seeds (seed {seed})", violation.invariant)
            }
            None => format!("NOT CAUGHT in {MOST_SEEDS} seeds"),
        };
        println!("  {:<24} {verdict}  {}", mutant.name(), mutant.description());
    }
    println!("sim-mutants: {caught}/{tried} caught in {:.0} s", began.elapsed().as_secs_f64());
    println!("test result: mutants {caught} passed; {} failed; 0 ignored", tried - caught);
    if caught == tried { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs seeds until one fails that does not fail without the planted bug; gives it, how many were run, and how it failed.
#[cfg(feature = "mutants")]
fn hunt(
    mutant: dockmgr_core::mutants::Mutant,
    first: u64,
    most: u64,
) -> Option<(u64, u64, crate::oracle::Violation)> {
    use dockmgr_core::mutants;
    let mut from = first;
    while from < first + most {
        let plan = Plan { first: from, seeds: first + most - from, threads: run::processors(), all: false };
        let sum = run::many(plan, || mutants::activate(Some(mutant)), |_| {});
        let seed = sum.first_failure()?;
        mutants::activate(Some(mutant));
        let planted = run::seed(seed, false).violation;
        mutants::activate(None);
        let without = run::seed(seed, false).violation;
        match planted {
            Some(violation) if without.is_none() => return Some((seed, seed - first + 1, violation)),
            Some(_) | None => from = seed + 1,
        }
    }
    None
}
