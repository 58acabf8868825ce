//! `swarm cert`: an authority of one's own, whose certificates say who belongs. `swarm id`: the id they are made for.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use super::args::{CertCommand, Global, IdArgs};
use super::failure::Failure;
use super::output::{self, Json};
use super::setup;
use swarm_core::base::{Category, NodeId, Shown};
use swarm_core::trust::Role;
use swarm_credentials::{AuthorityBook, Issued};
use swarm_node::clock::wall_clock;

pub(super) fn run(command: CertCommand) -> Result<(), Failure> {
    match command {
        CertCommand::Ca { dir, name, days } => {
            let book = AuthorityBook::create(&dir, &name, days, now())?;
            output::note(format_args!(
                "made the authority `{name}`, good for {}; its key is in {}: keep that to yourself",
                output::count(days as usize, "day"),
                Shown(&dir)
            ));
            output::note(format_args!(
                "nodes take part with: --ca {} --revoked {} --cert NODE.pem",
                Shown(&book.certificate()),
                Shown(&book.revocations())
            ));
            output::result(Shown(&book.certificate()))?;
        }
        CertCommand::Node { node, dir, days, mirror, out } => issue(node, &dir, days, mirror, out)?,
        CertCommand::Revoke { node, dir } => {
            let mut book = AuthorityBook::open(&dir)?;
            let count = book.revoke(node, now())?;
            output::note(format_args!(
                "{} of node {} revoked; nodes see it when they get this list:",
                output::count(count, "certificate"),
                node.short()
            ));
            output::result(Shown(&book.revocations()))?;
        }
        CertCommand::Ls { dir, json } => {
            let book = AuthorityBook::open(&dir)?;
            for issued in book.issued() {
                show(&issued, json)?;
            }
        }
    }
    Ok(())
}

fn issue(
    node: NodeId,
    dir: &std::path::Path,
    days: u32,
    mirror: bool,
    out: Option<PathBuf>,
) -> Result<(), Failure> {
    let out = out.unwrap_or_else(|| PathBuf::from(format!("{}.pem", node.short())));
    let is_stdout = out == std::path::Path::new("-");
    if !is_stdout && out.exists() {
        let message = format!("`{}` is there already: remove it, or name another file by -o", Shown(&out));
        return Err(Failure::new(Category::TargetDiffers, message));
    }
    let role = if mirror { Role::Mirror } else { Role::Full };
    let pem = AuthorityBook::open(dir)?.issue(node, role, days, now())?;
    if is_stdout {
        output::text(&pem)?;
    } else {
        std::fs::write(&out, pem).map_err(|error| Failure::file("write", &out, &error))?;
    }
    output::note(format_args!(
        "a certificate for node {}, role {}, good for {}: the node shows it by --cert",
        node.short(),
        role.name(),
        output::count(days as usize, "day")
    ));
    if is_stdout { Ok(()) } else { output::result(Shown(&out)) }
}

fn show(issued: &Issued, is_json: bool) -> Result<(), Failure> {
    let state = match issued {
        Issued { is_revoked: true, .. } => "revoked",
        Issued { until_unix_secs, .. } if *until_unix_secs < now() => "expired",
        Issued { .. } => "good",
    };
    let (node, role) = (issued.node.to_string(), issued.role.name());
    if is_json {
        let until_unix_secs = issued.until_unix_secs;
        return output::json(&Json::Certificate { node, role, state, until_unix_secs });
    }
    let until = jiff::Timestamp::from_second(i64::try_from(issued.until_unix_secs).unwrap_or(i64::MAX));
    let until = until.map_or_else(|_| "?".to_owned(), |until| until.strftime("%Y-%m-%d").to_string());
    output::result(format_args!("{node} {role:6} {state:7} until {until}"))
}

/// `swarm id`: makes the key if there is none.
pub(super) fn id(args: &IdArgs, global: &Global) -> Result<(), Failure> {
    if global.key.is_none() {
        let message =
            "nodes without --key take a free key each time: name the key file by --key, there and here";
        return Err(Failure::new(Category::Usage, message));
    }
    let node = setup::identity(global, None)?.node_id();
    if args.json { output::json(&Json::Id { node: node.to_string() }) } else { output::result(node) }
}

fn now() -> u64 {
    wall_clock().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
