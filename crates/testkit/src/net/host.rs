//! A host: one network namespace with one interface.

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::lab::{BRIDGE, HOST_INTERFACE};
use super::shell::{load_rules, run};

/// A host of a [`Lab`](super::Lab).
#[derive(Clone, Debug)]
pub struct Host {
    pub(super) netns: String,
    pub(super) address: Ipv4Addr,
    /// The other end of its line: a namespace and its interface.
    pub(super) port: (String, String),
}

impl Host {
    /// Its address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The same command, run on this host.
    pub fn command(&self, command: &Command) -> Command {
        let mut outer = Command::new("ip");
        outer.args(["netns", "exec", &self.netns]).arg(command.get_program()).args(command.get_args());
        outer.env_clear();
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                outer.env(name, value);
            }
        }
        if let Some(dir) = command.get_current_dir() {
            outer.current_dir(dir);
        }
        outer
    }

    /// Cuts the line: its switch drops all frames to and from it; the host does not notice.
    pub fn cut(&self) {
        self.set_port("nomaster");
    }

    /// Ends a cut.
    pub fn mend(&self) {
        self.set_port(&format!("master {BRIDGE}"));
    }

    /// Drops all UDP to and from it, as some networks do; TCP passes.
    pub fn drop_udp(&self) {
        let rules = "table inet no_udp {
            chain inwards { type filter hook input priority 0; policy accept; meta l4proto udp drop; }
            chain outwards { type filter hook output priority 0; policy accept; meta l4proto udp drop; }
        }";
        load_rules(&self.netns, rules);
    }

    /// Takes its interface down: the host notices that it has no network, and cannot send.
    pub fn take_down(&self) {
        run(&format!("ip -n {} link set {HOST_INTERFACE} down", self.netns));
    }

    /// Brings its interface up again.
    pub fn bring_back(&self) {
        run(&format!("ip -n {} link set {HOST_INTERFACE} up", self.netns));
    }

    /// Gives it another address in place of its own. (The new one is added last: removing the first address removes its network.)
    pub fn move_away(&self) {
        let [a, b, c, d] = self.address.octets();
        let other = Ipv4Addr::new(a, b, c ^ 1, d);
        run(&format!("ip -n {} address del {}/16 dev {HOST_INTERFACE}", self.netns, self.address));
        run(&format!("ip -n {} address add {other}/16 dev {HOST_INTERFACE}", self.netns));
    }

    /// A UDP socket on this host, which any thread may use.
    pub fn udp_socket(&self, port: u16) -> UdpSocket {
        within(&self.netns, move || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a free port"))
    }

    /// Routes `network` by way of `gateway`.
    pub fn route(&self, network: &str, gateway: Ipv4Addr) {
        run(&format!("ip -n {} route add {network} via {gateway}", self.netns));
    }

    fn set_port(&self, state: &str) {
        let (netns, interface) = &self.port;
        run(&format!("ip -n {netns} link set {interface} {state}"));
    }
}

/// Runs `work` in a namespace, on a thread of its own, because a thread cannot leave a namespace.
pub(super) fn within<T: Send + 'static>(netns: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let path = PathBuf::from("/run/netns").join(netns);
    let entering = move || {
        let file = File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.to_string_lossy()));
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), kind).expect("root may enter");
        work()
    };
    std::thread::spawn(entering).join().expect("the work in the namespace succeeds")
}
