//! `swarm remove`: one content less for the running node.

use super::args::{Global, RemoveArgs};
use super::control;
use super::failure::Failure;
use super::output;
use swarm_host::protocol::{Answer, Request};

pub(super) fn run(args: &RemoveArgs, global: &Global) -> Result<(), Failure> {
    let mut client = control::connect(&args.node, global)?;
    let request = Request::Remove { content: args.content.clone() };
    let answer = control::ask(&mut client, request, &mut |_, _| {})?;
    let Answer::Removed { content, name } = answer else { return Err(control::odd(answer)) };
    if args.json {
        output::json(&serde_json::json!({ "content": content, "name": name }))?;
    } else {
        output::note(format_args!("served no longer: {name}; its files stay as they are"));
    }
    Ok(())
}
