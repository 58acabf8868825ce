//! A laboratory: a switch and hosts, each in its own network namespace, so that this machine's network is not touched.
//! Names contain the process id: the next run finds by it what a killed run left, and removes that.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use super::host::Host;
use super::line::Line;
use super::nat::Nat;
use super::relay::Relay;
use super::shell::{run, try_run};

/// The laboratory; dropping it removes it, with every process in it.
pub struct Lab {
    name: String,
    hosts: AtomicU32,
    relays: Mutex<Vec<Relay>>,
    /// Laboratories run one at a time: they share the processors, and some measure time.
    _turn: MutexGuard<'static, ()>,
}

impl Lab {
    /// A switch without hosts; `None`, with a line on stderr that says so, where this machine cannot have one.
    pub fn new() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        static LABS: AtomicU32 = AtomicU32::new(0);
        static LEFTOVERS: Once = Once::new();
        if let Err(why) = is_possible() {
            let test = std::thread::current().name().unwrap_or("a test").to_owned();
            let required = std::env::var_os("SWARM_NET_TESTS").is_some_and(|value| value == "required");
            assert!(!required, "SWARM_NET_TESTS=required, but {why}");
            // Not by eprintln, because that hides the output of passed tests.
            let _ = writeln!(std::io::stderr(), "NOT RUN: net {test}: {why}");
            return None;
        }
        LEFTOVERS.call_once(remove_leftovers);
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (process, number) = (std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let name = format!("{PREFIX}{process}-{number}-");
        let lab = Self { name, hosts: AtomicU32::new(0), relays: Mutex::default(), _turn: turn };
        add_switch(&lab.switch());
        Some(lab)
    }

    /// A laboratory for a long scenario: `None`, with a line on stderr, unless long scenarios are enabled.
    pub fn for_long() -> Option<Self> {
        let is_set = |name| std::env::var_os(name).is_some();
        if is_set("SWARM_LONG_TESTS") || is_set("SWARM_NET_TESTS") {
            return Self::new();
        }
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(std::io::stderr(), "NOT RUN: net {test}: it takes long; SWARM_LONG_TESTS=1 runs it");
        None
    }

    /// A host, joined to the switch by this line.
    pub fn host(&self, line: Line) -> Host {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed) + 1;
        let address = Ipv4Addr::from(NETWORK + number);
        let (netns, switch, port) = (format!("{}{number}", self.name), self.switch(), format!("p{number}"));
        run(&format!("ip netns add {netns}"));
        let (host_end, switch_end) = ((netns.as_str(), HOST_INTERFACE), (switch.as_str(), port.as_str()));
        if line.delay.is_zero() {
            join(host_end, switch_end);
        } else {
            let relay = Relay::start(host_end, switch_end, line.delay);
            self.relays.lock().unwrap_or_else(PoisonError::into_inner).push(relay);
        }
        plug_in(switch_end);
        bring_up(&netns, &format!("{address}/16"));
        line.apply(host_end, switch_end);
        Host { netns, address, port: (switch, port) }
    }

    /// As many hosts with the same line.
    pub fn hosts(&self, count: usize, line: Line) -> Vec<Host> {
        (0..count).map(|_| self.host(line)).collect()
    }

    /// A router with this line that hides the hosts behind it.
    pub fn nat(&self, line: Line) -> Nat {
        Nat::new(self.host(line), format!("{}nat", self.name))
    }

    fn switch(&self) -> String {
        format!("{}switch", self.name)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner).clear();
        namespaces().iter().filter(|netns| netns.starts_with(&self.name)).for_each(|netns| remove(netns));
    }
}

/// A namespace with a bridge.
pub(super) fn add_switch(netns: &str) {
    run(&format!("ip netns add {netns}"));
    run(&format!("ip -n {netns} link add {BRIDGE} type bridge"));
    run(&format!("ip -n {netns} link set {BRIDGE} addrgenmode none up"));
}

/// A line without delay between two namespaces, each with its interface. Frames cross it one by one, as on a cable: if the kernel
/// combined several frames, losing one of them would lose all.
pub(super) fn join(host: (&str, &str), switch: (&str, &str)) {
    let ((netns, interface), (switch, port)) = (host, switch);
    run(&format!("ip -n {switch} link add {port} type veth peer name {interface} netns {netns}"));
    run(&format!("ip -n {netns} link set {interface} gso_max_segs 1"));
    run(&format!("ip -n {switch} link set {port} gso_max_segs 1"));
}

/// Makes an interface a port of the namespace's bridge.
pub(super) fn plug_in((switch, port): (&str, &str)) {
    run(&format!("ip -n {switch} link set {port} master {BRIDGE} addrgenmode none up"));
}

/// A host's interfaces, with IPv4 alone: figures of headers are then the same for all.
pub(super) fn bring_up(netns: &str, address: &str) {
    run(&format!("ip -n {netns} link set lo up"));
    run(&format!("ip -n {netns} address add {address} dev {HOST_INTERFACE}"));
    run(&format!("ip -n {netns} link set {HOST_INTERFACE} addrgenmode none up"));
}

/// Whether this machine can run a laboratory, tested once; if not, the reason and the way out.
fn is_possible() -> Result<(), &'static str> {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let find = || {
        if !rustix::process::geteuid().is_root() {
            return Err("network namespaces are root's: run it by sudo".to_owned());
        }
        for (tool, package) in [("ip -V", "iproute2"), ("tc -V", "iproute2"), ("nft -v", "nftables")] {
            try_run(tool, "").map_err(|error| format!("{error}: install the package {package}"))?;
        }
        let probe = format!("{PREFIX}{}-probe", std::process::id());
        let made = try_run(&format!("ip netns add {probe}"), "");
        let rules = made.and_then(|_| try_run(&format!("ip netns exec {probe} nft list ruleset"), ""));
        let _ = try_run(&format!("ip netns del {probe}"), "");
        rules.map_err(|error| format!("this machine cannot create network namespaces: {error}"))?;
        let tun = std::fs::metadata("/dev/net/tun");
        tun.map_err(|error| format!("/dev/net/tun: {error}: load the kernel module tun"))?;
        Ok(())
    };
    FOUND.get_or_init(find).as_ref().copied().map_err(String::as_str)
}

fn namespaces() -> Vec<String> {
    let list = try_run("ip netns list", "").unwrap_or_default();
    let name = |line: &str| line.split_whitespace().next().map(str::to_owned);
    list.lines().filter_map(name).filter(|name| name.starts_with(PREFIX)).collect()
}

/// Removes namespaces that killed runs left behind.
fn remove_leftovers() {
    for netns in namespaces() {
        let process = netns[PREFIX.len()..].split('-').next().unwrap_or_default();
        if !std::path::Path::new("/proc").join(process).exists() {
            remove(&netns);
        }
    }
}

/// Removes a namespace and the processes in it: without its name they could not be found again.
fn remove(netns: &str) {
    let inside = try_run(&format!("ip netns pids {netns}"), "").unwrap_or_default();
    for pid in inside.lines().filter_map(|line| line.trim().parse().ok()).filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    let _ = try_run(&format!("ip netns del {netns}"), "");
}

/// Prefix of every namespace's name; the process, the laboratory and the host follow.
const PREFIX: &str = "swarm-net-";
pub(super) const BRIDGE: &str = "br0";
pub(super) const HOST_INTERFACE: &str = "eth0";
/// 10.77.0.0/16.
const NETWORK: u32 = 0x0a4d_0000;
