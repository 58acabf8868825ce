//! Runs tools of the system to their end.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Runs a command line (words without quoting) and returns its stdout.
///
/// # Errors
/// The output of the tool, if it failed.
pub(super) fn try_run(line: &str, stdin: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a command line has a program");
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("`{line}`: {error}"))?;
    // A tool that ends early does not read its stdin; its exit code shows that.
    let _ = child.stdin.take().expect("stdin is piped").write_all(stdin.as_bytes());
    let output = child.wait_with_output().map_err(|error| format!("`{line}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{line}`: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command line; a failure is a fault of the laboratory.
pub(super) fn run(line: &str) -> String {
    try_run(line, "").unwrap_or_else(|error| panic!("{error}"))
}

/// Loads packet filter rules in a namespace.
pub(super) fn load_rules(netns: &str, rules: &str) {
    try_run(&format!("ip netns exec {netns} nft -f -"), rules).unwrap_or_else(|error| panic!("{error}"));
}
