//! The simulator's command: runs one scenario and prints how far it stayed from the bound; `sync` runs worlds of replicas,
//! `team` worlds of daemons.

mod worlds;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use plotters::prelude::*;
use swarm_core::base::Shown;
use swarm_sim::{Report, Scenario, ScenarioArgs, UnknownScenario};

/// Runs the production engine among simulated peers.
#[derive(Debug, Parser)]
#[command(name = "swarm-sim", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which world: flash-crowd, flash-crowd-exchange, steady-arrival, sink, spread, churn, corrupt, one-slow, seed-leaves,
    /// zones, last-chunk, streaming or faults.
    #[arg(long, default_value = "flash-crowd")]
    scenario: String,
    /// Peers beside the seed.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    peers: u32,
    /// Chunks of the content.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    chunks: u32,
    /// Chunk length as a power of two.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(14..=24))]
    chunk_len_log2: u8,
    /// Upload capacity where the scenario says nothing else, bytes a second.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1000..))]
    up: u64,
    /// Download capacity through upload capacity.
    #[arg(long, default_value_t = 1.0, value_parser = factor)]
    down_factor: f64,
    /// The same seed gives the same run.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Virtual seconds after which the run is given up.
    #[arg(long, default_value_t = 36_000)]
    limit_secs: u64,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Draws completion curves and per-peer timelines to this SVG file.
    #[arg(long)]
    plot: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs worlds of replicas that are kept the same, under edits and faults.
    Sync(worlds::WorldsArgs),
    /// Runs worlds of daemons that keep a library: members, strangers, mirrors and a traitor.
    Team(worlds::WorldsArgs),
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(command) = &args.command {
        let told = match command {
            Command::Sync(worlds) => worlds.run(worlds::Kind::Sync),
            Command::Team(worlds) => worlds.run(worlds::Kind::Team),
        };
        let is_told = std::io::stdout().write_all(told.text.as_bytes()).is_ok();
        return if told.is_well && is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let scenario: Scenario = match args.scenario.parse() {
        Ok(scenario) => scenario,
        Err(error) => return fail(&error),
    };
    // Checked before the run: ten minutes of work must not end with a plot that cannot be written.
    if let Some(path) = &args.plot
        && let Err(error) = std::fs::write(path, "")
    {
        note(format_args!("error: cannot draw to {}: {error}", Shown(path)));
        return ExitCode::FAILURE;
    }
    let report = scenario
        .swarm(ScenarioArgs {
            peers: args.peers,
            chunks: args.chunks,
            chunk_len_log2: args.chunk_len_log2,
            seed: args.seed,
            up_per_sec: args.up,
            down_factor: args.down_factor,
        })
        .within(std::time::Duration::from_secs(args.limit_secs))
        .run();
    let figures = if args.json { format!("{}\n", json(&args, &report)) } else { table(&report) };
    let is_told = std::io::stdout().write_all(figures.as_bytes()).is_ok();
    for finding in &report.findings {
        note(format_args!(
            "finding at {:.3} s, node {}: {}",
            finding.at as f64 / 1e9,
            finding.node,
            finding.what
        ));
    }
    if let Some(path) = &args.plot
        && let Err(error) = plot(path, &report)
    {
        note(format_args!("error: cannot draw to {}: {error}", Shown(path)));
        return ExitCode::FAILURE;
    }
    if report.findings.is_empty() && is_told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn factor(text: &str) -> Result<f64, String> {
    let factor: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    (0.01..=1000.0).contains(&factor).then_some(factor).ok_or_else(|| "take one from 0.01 to 1000".to_owned())
}

fn fail(error: &UnknownScenario) -> ExitCode {
    note(format_args!("error: {error}"));
    ExitCode::FAILURE
}

/// Prints one line for people. Errors are ignored: a full disk must not end a run.
fn note(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{}", Shown(line));
}

fn table(report: &Report) -> String {
    use std::fmt::Write as _;
    let mut table = String::new();
    let Report { times, bounds, .. } = report;
    let _ =
        writeln!(table, "finished      {} of {} ({} nodes)", report.finished, report.measured, report.nodes);
    let _ = writeln!(
        table,
        "time          mean {:.2}  p50 {:.2}  p99 {:.2}  p100 {:.2} s",
        times.mean, times.p50, times.p99, times.p100
    );
    let _ = writeln!(table, "bound         fluid {:.2}  discrete {:.2} s", bounds.fluid, bounds.discrete);
    let _ = writeln!(table, "p100 / bound  {:.3}", report.ratio);
    let _ = writeln!(table, "duplicates    {:.3} %", report.duplicate_share * 100.0);
    let _ = writeln!(table, "tail          {:.2} %", report.tail_share * 100.0);
    let _ = writeln!(
        table,
        "seed copies   {}",
        report.seed_copies.map_or("none".to_owned(), |copies| format!("{copies:.3}"))
    );
    let behind: Vec<String> = report.slowest.behind.iter().map(|secs| format!("{secs:.1}")).collect();
    let _ = writeln!(
        table,
        "slowest       node {}, behind the median at each tenth by {} s",
        report.slowest.node,
        behind.join(" ")
    );
    let _ = writeln!(table, "fairness      {:.3}", report.fairness);
    let _ = writeln!(table, "control       {:.4} %", report.control_share * 100.0);
    let _ = writeln!(table, "upload used   {:.2} %", report.upload_used * 100.0);
    let _ = writeln!(
        table,
        "corrupt       {} chunks, {} bans, {} at most of one peer to one",
        report.corrupt_chunks, report.banned, report.corrupt_per_pair_max
    );
    let used: Vec<String> =
        report.upload_by_second.iter().map(|share| format!("{:.0}", share * 100.0)).collect();
    let _ = writeln!(table, "used by second, %  {}", used.join(" "));
    let _ = writeln!(table, "stalled       {:.2} s", report.stalled);
    let _ = writeln!(table, "events        {}", report.events);
    let _ = writeln!(table, "trace         {:016x} (seed {})", report.trace, report.seed);
    table
}

/// Above: the share of peers that have completed, and of the upload that is used. Below: percent over time, peer by peer.
fn plot(path: &Path, report: &Report) -> Result<(), Box<dyn std::error::Error>> {
    let end =
        report.completions.last().copied().unwrap_or(1.0).max(report.upload_by_second.len() as f64) * 1.02;
    let root = SVGBackend::new(path, (1000, 800)).into_drawing_area();
    root.fill(&WHITE)?;
    let halves = root.split_evenly((2, 1));
    let mut above = ChartBuilder::on(&halves[0])
        .caption("completed (blue), upload used (green), bound (red); % over s", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..end, 0.0..102.0)?;
    above.configure_mesh().draw()?;
    let count = f64::from(report.measured.max(1));
    let completed = report.completions.iter().zip(1u32..).map(|(at, n)| (*at, f64::from(n) / count * 100.0));
    above.draw_series(LineSeries::new(std::iter::once((0.0, 0.0)).chain(completed), &BLUE))?;
    let used = report.upload_by_second.iter().zip(0u32..).map(|(share, at)| (f64::from(at), share * 100.0));
    above.draw_series(LineSeries::new(used, &GREEN))?;
    above.draw_series(LineSeries::new([(report.bounds.fluid, 0.0), (report.bounds.fluid, 100.0)], &RED))?;
    let mut below = ChartBuilder::on(&halves[1])
        .caption("what up to 64 peers have; % over s", ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(40)
        .build_cartesian_2d(0.0..end, 0.0..102.0)?;
    below.configure_mesh().draw()?;
    for timeline in &report.timelines {
        let percents = timeline.iter().zip(1u32..).map(|(at, percent)| (*at, f64::from(percent)));
        below.draw_series(LineSeries::new(percents, &BLUE.mix(0.3)))?;
    }
    root.present()?;
    Ok(())
}

fn json(args: &Args, report: &Report) -> serde_json::Value {
    serde_json::json!({
        "scenario": args.scenario, "peers": args.peers, "chunks": args.chunks, "seed": report.seed,
        "finished": report.finished, "measured": report.measured,
        "mean_secs": report.times.mean, "p50_secs": report.times.p50, "p99_secs": report.times.p99,
        "p100_secs": report.times.p100, "fluid_secs": report.bounds.fluid, "discrete_secs": report.bounds.discrete,
        "ratio": report.ratio, "duplicate_share": report.duplicate_share, "tail_share": report.tail_share,
        "seed_copies": report.seed_copies, "fairness": report.fairness, "control_share": report.control_share,
        "upload_used": report.upload_used, "corrupt_chunks": report.corrupt_chunks, "banned": report.banned,
        "corrupt_per_pair_max": report.corrupt_per_pair_max, "stalled_secs": report.stalled,
        "events": report.events, "trace": format!("{:016x}", report.trace),
        "findings": report.findings.iter().map(|f| f.what.clone()).collect::<Vec<_>>(),
    })
}
