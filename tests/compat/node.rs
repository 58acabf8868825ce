//! `swarm node` of either build, in a world that both share.

use std::fs;

use serde_json::Value;
use swarm_core::manifest::Ticket;
use swarm_testkit::{Process, World, args};

/// A node that is ready.
pub(crate) struct Node<'a> {
    pub(crate) world: &'a World,
    process: Process,
}

impl<'a> Node<'a> {
    /// On loopback.
    pub(crate) fn start(world: &'a World) -> Self {
        fs::write(world.path("node.toml"), "listen = \"127.0.0.1:0\"\n").expect("a place");
        let process = world.start(&args!["node", "--config", "node.toml"]);
        process.wait_stderr(" ready ");
        Self { world, process }
    }

    /// Adds something; its ticket.
    pub(crate) fn add(&self, args: Vec<std::ffi::OsString>) -> String {
        let outcome = self.world.run(&[args!["add"], args].concat()).expect_code(0);
        outcome.out.first().expect("a ticket").clone()
    }

    /// The status as soon as `pick` takes it.
    pub(crate) fn wait<T>(&self, pick: impl Fn(&Value) -> Option<T>) -> T {
        self.world.start(&args!["status", "--json", "--watch"]).wait_json(pick)
    }

    /// The ticket of a content of this name as soon as it is served.
    pub(crate) fn wait_serving(&self, name: &str) -> String {
        self.wait(|status| {
            let content = content(status, name).filter(|content| content["state"] == "serving")?;
            content["ticket"].as_str().map(str::to_owned)
        })
    }

    /// Ends it without a chance to write anything.
    pub(crate) fn kill(self) {
        self.process.kill();
    }
}

pub(crate) fn content<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["contents"].as_array()?.iter().find(|content| content["name"] == name)
}

/// What a ticket names for good: the content and the node. (Its port may be taken by another program.)
pub(crate) fn lasting(ticket: &str) -> (String, String) {
    let ticket: Ticket = ticket.parse().expect("a ticket");
    (ticket.content.to_string(), ticket.sources[0].node.to_string())
}
