//! Tests of the laboratory itself: every figure depends on the accuracy of its lines.

use std::net::UdpSocket;
use std::time::Duration;

use crate::support::{Host, Lab, Line, Stopwatch};

#[test]
fn a_line_carries_no_more_than_its_rate() {
    let Some(lab) = Lab::new() else { return };
    let (from, to) = (lab.host(Line::mbit(20, 100)), lab.host(Line::fast()));
    let (sender, receiver) = sockets(&from, &to);
    let clock = Stopwatch::start();
    // The queue holds 50 ms: in bursts of 20 ms, each after an answer, nothing is dropped.
    let mut buf = [0; 2048];
    for _ in 0..BURSTS {
        for _ in 0..BURST_DATAGRAMS {
            sender.send(&[7; 1000]).expect("a way");
        }
        for _ in 0..BURST_DATAGRAMS {
            receiver.recv(&mut buf).expect("every datagram arrives");
        }
    }
    let bits = f64::from(BURSTS * BURST_DATAGRAMS) * 1042.0 * 8.0;
    let mbit_per_sec = bits / 1e6 / clock.elapsed().as_secs_f64();
    assert!(mbit_per_sec < 22.0, "{mbit_per_sec} Mbit/s by a line of 20");
}

#[test]
fn a_delayed_line_keeps_its_delay_and_the_order() {
    let Some(lab) = Lab::new() else { return };
    let hosts = lab.hosts(2, Line::fast().delay(Duration::from_millis(10)));
    let (sender, receiver) = sockets(&hosts[0], &hosts[1]);
    let mut buf = [0; 2048];
    sender.send(&[0]).expect("a way");
    receiver.recv(&mut buf).expect("it arrives");
    let clock = Stopwatch::start();
    for number in 0..200 {
        sender.send(&[number]).expect("a way");
    }
    for number in 0..200 {
        receiver.recv(&mut buf).expect("every datagram arrives");
        assert_eq!(buf[0], number);
    }
    let elapsed = clock.elapsed();
    assert!(elapsed >= Duration::from_millis(20), "{elapsed:?} over two lines of 10 ms");
}

#[test]
fn a_lossy_line_loses_its_share() {
    let Some(lab) = Lab::new() else { return };
    let (from, to) = (lab.host(Line::fast()), lab.host(Line::fast().loss(100)));
    let (sender, receiver) = sockets(&from, &to);
    receiver.set_nonblocking(true).expect("it is a socket");
    let mut buf = [0; 2048];
    let mut arrived = 0;
    for _ in 0..2000 {
        sender.send(&[7; 100]).expect("a way");
        // Without a queue on the path a datagram has arrived, or is lost, when send returns.
        arrived += u32::from(receiver.recv(&mut buf).is_ok());
    }
    arrived += std::iter::from_fn(|| receiver.recv(&mut buf).ok()).count() as u32;
    assert!((1700..1900).contains(&arrived), "{arrived} of 2000 arrived where a tenth is lost");
}

#[test]
fn a_host_that_was_cut_off_is_back_when_it_is_mended() {
    let Some(lab) = Lab::new() else { return };
    for line in [Line::fast(), Line::fast().delay(Duration::from_millis(1))] {
        let (from, to) = (lab.host(line), lab.host(Line::fast()));
        let (sender, receiver) = sockets(&from, &to);
        let mut buf = [0; 2048];
        sender.send(b"before").expect("a way");
        assert_eq!(receiver.recv(&mut buf).expect("it arrives"), 6);
        from.cut();
        sender.send(b"while it is cut").expect("the host is not told");
        receiver.set_read_timeout(Some(Duration::from_millis(50))).expect("it is a socket");
        receiver.recv(&mut buf).expect_err("nothing passes");
        from.mend();
        receiver.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        sender.send(b"after").expect("a way");
        assert_eq!(receiver.recv(&mut buf).expect("it arrives"), 5);
    }
}

/// A socket on each host; the first one's datagrams go to the second.
fn sockets(from: &Host, to: &Host) -> (UdpSocket, UdpSocket) {
    let (sender, receiver) = (from.udp_socket(0), to.udp_socket(9000));
    sender.connect((to.address(), 9000)).expect("a way");
    receiver.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
    (sender, receiver)
}

const PATIENCE: Duration = Duration::from_secs(10);
const BURSTS: u32 = 20;
const BURST_DATAGRAMS: u32 = 50;
