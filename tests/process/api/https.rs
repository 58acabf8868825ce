//! One port for both: HTTPS with the node's own certificate, and plain HTTP for this machine alone.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use serde_json::json;

use super::client::{self, Ask};
use super::{GUID, Site, credentials, password_of};

#[test]
fn https_does_what_plain_http_does_with_a_certificate_that_is_kept() {
    let site = Site::new();
    site.put("a.txt", "over TLS");
    let over_tls = |ask: Ask| site.checked(&ask, ask.over_https(site.address()));
    let file = Ask::get(&format!("/file/{GUID}/a.txt")).basic("mia", &password_of("mia"));
    assert_eq!(over_tls(file.clone()).expect(200).text(), "over TLS");
    assert_eq!(over_tls(file.with("range", "bytes=5-7")).expect(206).text(), "TLS");
    let login = over_tls(Ask::post("/login", &credentials("vera"))).expect(200);
    let cookie = login.header("set-cookie");
    assert!(cookie.starts_with("__Host-swarm_session_") && cookie.contains("; Secure"), "{login:?}");
    assert!(cookie.contains("; Path=/;") && !cookie.contains("Domain"), "{login:?}");
    site.is_secret(login.session().split_once('=').expect("a pair").1);
    assert_eq!(over_tls(Ask::get("/api/v1/me").cookie(&login.session())).expect(200).json()["user"], "vera");
    over_tls(Ask::get("/status")).expect(401);
    // A cookie of plain HTTP, which anybody on the network could have set, proves nobody over TLS; nor the other way round.
    let plain = site.login("vera");
    over_tls(Ask::get("/api/v1/me").cookie(&plain.session)).expect(401);
    site.ask(&Ask::get("/api/v1/me").cookie(&login.session())).expect(401);
    let out = over_tls(Ask::get("/logout").cookie(&login.session())).expect(204);
    let gone = out.header("set-cookie");
    assert!(gone.starts_with("__Host-") && gone.contains("Max-Age=0") && gone.contains("Secure"), "{out:?}");
    over_tls(Ask::get("/api/v1/me").cookie(&login.session())).expect(401);
    // No other machine is told to insist on a certificate that no authority knows.
    assert_eq!(login.header("strict-transport-security"), "");
    let certificate = client::tls(site.address()).1;
    let shown = site.get("/api/v1/node")["fingerprint"].clone();
    assert_eq!(shown, fingerprint(&certificate));
    site.team.stop('a');
    site.start('a');
    assert!(client::tls(site.address()).1 == certificate, "it is the same after a restart");
}

/// SHA-256, as browsers show it.
fn fingerprint(certificate: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[test]
fn a_browser_of_another_machine_is_sent_to_https() {
    let Some(outside) = outside() else { return };
    let site = Site::stopped("a");
    let mut config = site.team.settings('a', "config.json");
    config.as_object_mut().expect("an object").remove("listen");
    site.team.set('a', "config.json", &config);
    site.set_users(&super::users());
    site.start('a');
    site.until_users(5);
    let address = SocketAddr::new(outside, site.address().port());
    let told = Ask::get("/status?a=b").over_http(address).expect(308);
    assert_eq!(told.header("location"), format!("https://{address}/status?a=b"));
    // A program whose password everybody could read just now is to notice.
    let ask = Ask::get("/status?a=b").basic("adam", &password_of("adam"));
    for told in [
        ask.over_http(address),
        Ask::post("/login", &credentials("adam")).over_http(address),
        Ask::get("/link/token").over_http(address),
        Ask::get("/").with("cookie", "swarm_session_x=y").over_http(address),
    ] {
        assert_eq!(
            (told.status, told.header("location"), told.header("set-cookie")),
            (403, "", ""),
            "{told:?}"
        );
    }
    // A name that could lead elsewhere is no reason to send anybody there.
    let evil = Ask::get("/").with("host", "evil.example/\\x").over_http(address);
    assert_eq!((evil.status, evil.header("location")), (400, ""), "{evil:?}");
    ask.over_https(address).expect(200);
    // From this machine it is answered, and from everywhere if the settings say so.
    ask.over_http(site.address()).expect(200);
    config["allowPlainHttp"] = json!(true);
    site.team.set('a', "config.json", &config);
    site.team.until("plain HTTP is allowed", || ask.over_http(address).status == 200);
}

/// An address of this machine that is not loopback.
#[expect(clippy::print_stderr, reason = "a test that did not run says so")]
fn outside() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let found = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|address| address.ip());
    let found = found.ok().filter(|address| !address.is_loopback() && !address.is_unspecified());
    if found.is_none() {
        eprintln!("NOT RUN: this machine has no address but loopback");
    }
    found
}

#[test]
fn what_is_neither_tls_nor_http_ends_and_others_are_served() {
    let site = Site::new();
    for bytes in [
        &b"\x16\x03\x01\xff\xff garbage"[..],
        b"\x16",
        b"\x00\x00\x00",
        b"SSH-2.0-x\r\n",
        b"GET\r\n\r\n",
        b"\xff",
    ] {
        let mut stream = client::connect(site.address());
        stream.write_all(bytes).expect("it takes bytes");
        drop(stream);
    }
    site.ask(&Ask::get("/api/v1/setup")).expect(200);
}

#[test]
fn clients_that_say_nothing_hold_no_end_up() {
    let site = Site::new();
    let silent = client::connect(site.address());
    let mut in_handshake = client::connect(site.address());
    in_handshake.write_all(b"\x16").expect("it takes bytes");
    let mut in_head = client::connect(site.address());
    in_head.write_all(b"GET /login HT").expect("it takes bytes");
    // It has taken those before this one.
    site.ask(&Ask::get("/api/v1/setup")).expect(200);
    let outcome = site.team.stop('a');
    let lines = outcome.out.iter().chain(&outcome.err);
    let late: Vec<_> = lines.filter(|line| line.contains("did not go in time")).collect();
    assert!(late.is_empty(), "{late:?}");
    drop((silent, in_handshake, in_head));
}

#[test]
fn a_certificate_that_the_settings_name_is_served() {
    let site = Site::stopped("a");
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["swarm.example.org".to_owned()]).expect("names");
    let cert = params.self_signed(&key).expect("a certificate");
    site.team.write("a/cert.pem", &cert.pem());
    site.team.write("a/key.pem", &key.serialize_pem());
    let mut config = site.team.settings('a', "config.json");
    config["tls"] = json!({"cert": "cert.pem", "key": "key.pem"});
    site.team.set('a', "config.json", &config);
    site.start('a');
    assert!(client::tls(site.address()).1 == cert.der().to_vec());
}
