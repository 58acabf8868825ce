//! A line with delay: two interfaces in two namespaces, and threads that carry frames between them, each frame a fixed time
//! later, none before the other. (The kernel's own way, netem, is missing in many kernels of virtual machines.)

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::host::within;
use super::shell::try_run;

/// The relay; it ends, and its interfaces with it, when dropped.
pub(super) struct Relay {
    ends: [(String, String); 2],
    threads: Vec<JoinHandle<()>>,
}

type Delayed = (Instant, Vec<u8>);

impl Relay {
    /// Makes both interfaces, each a namespace and a name, and joins them.
    pub(super) fn start(one: (&str, &str), other: (&str, &str), delay: Duration) -> Self {
        let taps = [one, other].map(|(netns, name)| Arc::new(tap(netns, name)));
        let mut threads = Vec::new();
        for (from, to) in [(0, 1), (1, 0)] {
            let (sender, receiver) = sync_channel(FRAMES_UNDER_WAY_MAX);
            let (from, to) = (Arc::clone(&taps[from]), Arc::clone(&taps[to]));
            threads.push(std::thread::spawn(move || take(&from, &sender, delay)));
            threads.push(std::thread::spawn(move || give(&to, &receiver)));
        }
        let ends = [one, other].map(|(netns, name)| (netns.to_owned(), name.to_owned()));
        Self { ends, threads }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Removing the interface wakes the thread that reads from it.
        for (netns, name) in &self.ends {
            let _ = try_run(&format!("ip -n {netns} link del {name}"), "");
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn tap(netns: &str, name: &str) -> SyncDevice {
    let name = name.to_owned();
    let made = within(netns, move || DeviceBuilder::new().name(name).layer(Layer::L2).build_sync());
    made.unwrap_or_else(|error| panic!("no network interface can be made by /dev/net/tun: {error}"))
}

#[expect(clippy::disallowed_methods, reason = "a wire needs the time")]
fn take(from: &SyncDevice, sender: &SyncSender<Delayed>, delay: Duration) {
    loop {
        let mut frame = vec![0; FRAME_LEN_MAX];
        let Ok(len) = from.recv(&mut frame) else { return };
        frame.truncate(len);
        if sender.send((Instant::now() + delay, frame)).is_err() {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a wire needs the time")]
fn give(to: &SyncDevice, receiver: &Receiver<Delayed>) {
    while let Ok((due, frame)) = receiver.recv() {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // A cut line has its interface down, and drops the frame.
        let _ = to.send(&frame);
    }
}

/// 1500 bytes and an Ethernet header.
const FRAME_LEN_MAX: usize = 1600;
/// More than a gigabit a second has on its way in 50 ms.
const FRAMES_UNDER_WAY_MAX: usize = 8192;
