//! Tables for people, JSON for scripts. A row is the medians of its rounds; a contender of which a round failed has no row.

use serde_json::{Value, json};

use crate::measure::Sample;

#[derive(Default)]
pub(crate) struct Report {
    cases: Vec<Value>,
    has_failures: bool,
}

impl Report {
    /// A table of one case; ratios are to its first row.
    pub(crate) fn table(&mut self, case: &str, len: u64, rows: Vec<(&str, Vec<Result<Sample, String>>)>) {
        let gigabytes = len as f64 / 1e9;
        println!(
            "\n{case}: {gigabytes:.2} GB, medians of {} rounds",
            rows.first().map_or(0, |(_, rounds)| rounds.len())
        );
        println!(
            "{:<13} {:>8} {:>15} {:>7} {:>14} {:>14} {:>10} {:>10}",
            "", "wall s", "(least–most)", "ratio", "receiver s/GB", "sender s/GB", "recv MiB", "send MiB"
        );
        let mut base = None;
        for (name, rounds) in rows {
            let samples: Result<Vec<Sample>, String> = rounds.into_iter().collect();
            let samples = match samples {
                Ok(samples) => samples,
                Err(error) => {
                    println!("{name:<13} failed: {error}");
                    self.failed(case, &format!("{name}: {error}"));
                    continue;
                }
            };
            let median = |of: fn(&Sample) -> f64| median(samples.iter().map(of));
            let wall = median(|sample| sample.wall);
            let ratio = wall / *base.get_or_insert(wall);
            let walls = || samples.iter().map(|sample| sample.wall);
            let (least, most) = (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max));
            let receiver = (median(|sample| sample.receiver.user), median(|sample| sample.receiver.system));
            let sender = (median(|sample| sample.sender.user), median(|sample| sample.sender.system));
            let receiver_peak = median(|sample| sample.receiver_peak_len as f64) / MIB;
            let sender_peak = median(|sample| sample.sender_peak_len as f64) / MIB;
            println!(
                "{name:<13} {wall:>8.2} {:>15} {ratio:>7.2} {:>14} {:>14} {receiver_peak:>10.0} {sender_peak:>10.0}",
                format!("({least:.2}–{most:.2})"),
                format!("{:.2}+{:.2}", receiver.0 / gigabytes, receiver.1 / gigabytes),
                format!("{:.2}+{:.2}", sender.0 / gigabytes, sender.1 / gigabytes),
            );
            self.cases.push(json!({
                "case": case, "contender": name, "bytes": len, "wall": wall, "ratio_to_first": ratio,
                "receiver_cpu_seconds_per_gb": (receiver.0 + receiver.1) / gigabytes,
                "sender_cpu_seconds_per_gb": (sender.0 + sender.1) / gigabytes,
                "receiver_peak_mib": receiver_peak, "sender_peak_mib": sender_peak, "rounds": samples,
            }));
        }
    }

    /// One figure.
    pub(crate) fn say(&mut self, case: &str, what: &str, figure: f64, words: &str) {
        println!("{words}");
        self.cases.push(json!({ "case": case, "what": what, "figure": figure }));
    }

    pub(crate) fn failed(&mut self, case: &str, why: &str) {
        eprintln!("{case}: {why}");
        self.cases.push(json!({ "case": case, "failed": why }));
        self.has_failures = true;
    }

    pub(crate) fn has_failures(&self) -> bool {
        self.has_failures
    }

    pub(crate) fn json(&self) -> String {
        serde_json::to_string_pretty(&json!({ "cores": cores(), "cases": self.cases })).expect("plain values")
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(0, usize::from)
}

const MIB: f64 = 1_048_576.0;
