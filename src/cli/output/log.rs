//! The log on stderr. Values in it may come from peers, servers and disks: as text they are escaped, as JSON they stay data.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::{MakeExt as _, MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use super::streams::LogLines;
use swarm_core::base::Shown;
use swarm_host::LogFormat;

/// Starts it. `RUST_LOG` overrides `level`.
pub(in crate::cli) fn start_log(level: &str, format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let is_json = format == LogFormat::Json;
    // Without the switch a log line that cannot be written is reported by a macro that panics if that cannot be written either.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(move || LogLines { is_json })
        .with_ansi(has_colours());
    match format {
        LogFormat::Text => log.fmt_fields(escaped_fields()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

/// `message name=value`, each value escaped.
fn escaped_fields()
-> impl for<'w> MakeVisitor<Writer<'w>, Visitor: VisitFmt + VisitOutput<std::fmt::Result>> + Send + Sync + 'static
{
    debug_fn(|to: &mut Writer<'_>, field, value| {
        let value = Shown(format_args!("{value:?}"));
        match (field.name(), to.has_ansi_escapes()) {
            ("message", _) => write!(to, "{value}"),
            (name, true) => write!(to, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m{value}"),
            (name, false) => write!(to, "{name}={value}"),
        }
    })
    .delimited(" ")
}

/// A file or a pipe takes no colours.
fn has_colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
