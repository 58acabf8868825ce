//! Tools of this repository, as `cargo xtask COMMAND`. Knows no crate of the product.

mod web;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;

const USAGE: &str = "\
usage: cargo xtask web [--out DIR]

web   builds the WebAssembly face into DIR (default: web in the target folder) and says how long it is
";

fn main() -> ExitCode {
    match run(std::env::args().skip(1)) {
        Ok(told) => {
            let _ = std::io::stdout().write_all(told.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Performs one command and returns what it has to say.
fn run(mut args: impl Iterator<Item = String>) -> anyhow::Result<String> {
    match args.next().as_deref() {
        Some("web") => web::build(out_folder(args)?),
        Some("help" | "--help" | "-h") | None => Ok(USAGE.to_owned()),
        Some(other) => bail!("no command `{other}`: see cargo xtask help"),
    }
}

/// The folder after `--out`, if there is one.
fn out_folder(mut args: impl Iterator<Item = String>) -> anyhow::Result<Option<PathBuf>> {
    let mut out = None;
    while let Some(arg) = args.next() {
        match (arg.as_str(), arg.strip_prefix("--out=")) {
            (_, Some(folder)) => out = Some(folder.to_owned()),
            ("--out", None) => out = args.next(),
            (other, None) => bail!("no option `{other}`: see cargo xtask help"),
        }
        if out.as_deref().is_none_or(str::is_empty) {
            bail!("--out needs a folder");
        }
    }
    Ok(out.map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expected: Result<Option<&str>, &str>) {
        let found = out_folder(args.iter().map(|arg| (*arg).to_owned())).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(|out| out.map(PathBuf::from)).map_err(str::to_owned), "{args:?}");
    }

    #[test]
    fn out_names_the_folder() {
        check(&[], Ok(None));
        check(&["--out", "dist"], Ok(Some("dist")));
        check(&["--out=dist"], Ok(Some("dist")));
        check(&["--out"], Err("--out needs a folder"));
        check(&["--out="], Err("--out needs a folder"));
        check(&["--uot", "dist"], Err("no option `--uot`: see cargo xtask help"));
    }
}
