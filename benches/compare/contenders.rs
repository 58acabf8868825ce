//! The contenders: how each serves, and its fetch command. All use their default settings, except for those needed to
//! meet on loopback without the internet.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::data::{Data, World};
use crate::{now, pause};

/// One way of moving the data.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Programs that it needs.
    programs: &'static [Program],
    start: fn(&Scene<'_>) -> Senders,
    fetch: fn(&Scene<'_>, &Senders) -> Command,
    /// Whether it writes files at all.
    pub(crate) is_to_file: bool,
}

#[derive(Clone, Copy)]
enum Program {
    /// On the PATH, or where install.sh puts it.
    Named(&'static str),
    /// Python's libtorrent.
    Libtorrent,
}

/// The data and folders of a contender's run.
pub(crate) struct Scene<'a> {
    pub(crate) world: &'a World,
    pub(crate) data: &'a Data,
    pub(crate) senders: usize,
    /// Longest datagram, where a case holds it; swarm and bare quinn only.
    pub(crate) datagram_len_max: Option<u16>,
    state: PathBuf,
}

/// Running senders; dropping the value ends them.
pub(crate) struct Senders {
    pub(crate) processes: Vec<Child>,
    /// The place of each: a ticket, URL or port.
    places: Vec<String>,
    /// Kept open, because a sender must not find its stdout closed.
    _stdouts: Vec<BufReader<ChildStdout>>,
}

impl Contender {
    pub(crate) const SWARM: Self =
        Self { name: "swarm", programs: &[], start: start_swarm, fetch: fetch_swarm, is_to_file: true };
    /// Memory to memory with the same QUIC settings, no hash and no disk: the cost of QUIC alone.
    pub(crate) const QUINN: Self =
        Self { name: "bare-quinn", programs: &[], start: start_quinn, fetch: fetch_quinn, is_to_file: false };
    pub(crate) const CURL: Self = Self {
        name: "curl",
        programs: &[Program::Named("nginx"), Program::Named("curl")],
        start: start_nginx,
        fetch: fetch_curl,
        is_to_file: true,
    };
    pub(crate) const ARIA2: Self = Self {
        name: "aria2",
        programs: &[Program::Named("nginx"), Program::Named("aria2c")],
        start: start_nginx,
        fetch: fetch_aria2,
        is_to_file: true,
    };
    pub(crate) const RSYNC_SSH: Self = Self {
        name: "rsync-ssh",
        programs: &[Program::Named("sshd"), Program::Named("ssh"), Program::Named("rsync")],
        start: start_sshd,
        fetch: fetch_rsync_ssh,
        is_to_file: true,
    };
    /// Not encrypted.
    pub(crate) const RSYNC_DAEMON: Self = Self {
        name: "rsync-daemon",
        programs: &[Program::Named("rsync")],
        start: start_rsyncd,
        fetch: fetch_rsyncd,
        is_to_file: true,
    };
    /// Not encrypted.
    pub(crate) const LIBTORRENT: Self = Self {
        name: "libtorrent",
        programs: &[Program::Libtorrent],
        start: start_torrent,
        fetch: fetch_torrent,
        is_to_file: true,
    };
    pub(crate) const SENDME: Self = Self {
        name: "sendme",
        programs: &[Program::Named("sendme")],
        start: start_sendme,
        fetch: fetch_sendme,
        is_to_file: true,
    };
    /// Not encrypted.
    pub(crate) const RQBIT: Self = Self {
        name: "rqbit",
        programs: &[Program::Named("rqbit"), Program::Libtorrent],
        start: start_torrent,
        fetch: fetch_rqbit,
        is_to_file: true,
    };

    /// Whether its programs are installed.
    pub(crate) fn is_there(self) -> bool {
        self.programs.iter().all(|needed| match needed {
            Program::Named(name) => program(name).is_some(),
            Program::Libtorrent => {
                let mut import = Command::new(python());
                import.args(["-c", "import libtorrent"]).stdout(Stdio::null()).stderr(Stdio::null());
                import.status().is_ok_and(|status| status.success())
            }
        })
    }

    pub(crate) fn start(self, scene: &Scene<'_>) -> Senders {
        (self.start)(scene)
    }

    /// The fetch, into [`World::out`].
    pub(crate) fn fetch(self, scene: &Scene<'_>, senders: &Senders) -> Command {
        let mut command = (self.fetch)(scene, senders);
        command.current_dir(scene.world.out());
        if std::env::var_os("SWARM_COMPARE_STDERR").is_none() {
            command.stderr(Stdio::null());
        }
        command
    }
}

impl<'a> Scene<'a> {
    pub(crate) fn new(
        contender: Contender,
        world: &'a World,
        data: &'a Data,
        senders: usize,
        datagram_len_max: Option<u16>,
    ) -> Self {
        Self { world, data, senders, datagram_len_max, state: world.state(contender.name) }
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        let dir = self.state.join(name);
        fs::create_dir_all(&dir).expect("a folder for state");
        dir
    }

    fn each(&self) -> impl Iterator<Item = usize> {
        1..=self.senders
    }
}

impl Senders {
    pub(crate) fn listening(processes: Vec<Child>, ports: &[u16], places: Vec<String>) -> Self {
        ports.iter().for_each(|&port| wait_for_port(port));
        Self { processes, places, _stdouts: Vec::new() }
    }

    /// Starts senders that print their place on stdout.
    fn speaking(commands: impl Iterator<Item = Command>, place: fn(&str) -> Option<String>) -> Self {
        let (mut processes, mut places, mut stdouts) = (Vec::new(), Vec::new(), Vec::new());
        for mut command in commands {
            let mut process = quiet(&mut command).stdout(Stdio::piped()).spawn().expect("it is installed");
            let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
            let mut line = String::new();
            let found = loop {
                line.clear();
                let len = stdout.read_line(&mut line).expect("it speaks text");
                assert!(len > 0, "{command:?} ended without saying where it is");
                if let Some(found) = place(line.trim()) {
                    break found;
                }
            };
            places.push(found);
            processes.push(process);
            stdouts.push(stdout);
        }
        Self { processes, places, _stdouts: stdouts }
    }

    pub(crate) fn places(&self) -> &[String] {
        &self.places
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // nginx ends its workers only on a signal to its main process.
            let asked = Command::new("kill").arg(process.id().to_string()).status();
            if asked.is_err() {
                let _ = process.kill();
            }
            let _ = process.wait();
        }
    }
}

/// The swarm of this package, with state of its own.
pub(crate) fn swarm(state: &Path, datagram_len_max: Option<u16>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swarm"));
    command.env("SWARM_STATE_DIR", state).env("SWARM_NO_LAN", "1");
    if let Some(len) = datagram_len_max {
        command.env("SWARM_DATAGRAM_MAX", len.to_string());
    }
    command
}

fn start_swarm(scene: &Scene<'_>) -> Senders {
    let seeds = scene.each().map(|number| {
        let mut seed = swarm(&scene.state(&format!("seed-{number}")), scene.datagram_len_max);
        seed.args(["seed", "--listen", "127.0.0.1:0"]).arg(scene.data.path());
        seed
    });
    Senders::speaking(seeds, |line| line.starts_with("swarm").then(|| line.to_owned()))
}

fn fetch_swarm(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut fetch = swarm(&scene.state("fetch"), scene.datagram_len_max);
    let (first, others) = senders.places.split_first().expect("there is a sender");
    fetch.args(["fetch", first, "-o", "."]);
    for ticket in others {
        fetch.args(["--peer", ticket]);
    }
    fetch
}

fn start_quinn(scene: &Scene<'_>) -> Senders {
    let servers = scene.each().map(|_| {
        let mut server = Command::new(std::env::current_exe().expect("it is running"));
        let len = scene.data.len / scene.senders as u64;
        server.args(["baseline", "serve", &len.to_string()]);
        server.arg(scene.datagram_len_max.unwrap_or(0).to_string());
        server
    });
    Senders::speaking(servers, |line| Some(line.to_owned()))
}

fn fetch_quinn(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut get = Command::new(std::env::current_exe().expect("it is running"));
    get.args(["baseline", "get", &scene.datagram_len_max.unwrap_or(0).to_string()]).args(&senders.places);
    get
}

fn start_nginx(scene: &Scene<'_>) -> Senders {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name is valid");
    let (mut processes, mut ports) = (Vec::new(), Vec::new());
    for number in scene.each() {
        let state = scene.state(&format!("nginx-{number}"));
        fs::write(state.join("cert.pem"), certificate.cert.pem()).expect("room on the disk");
        fs::write(state.join("key.pem"), certificate.signing_key.serialize_pem()).expect("room on the disk");
        let (port, at, root) = (free_port(), state.to_string_lossy(), scene.data.dir.to_string_lossy());
        let config = format!(
            "daemon off;\nworker_processes 1;\nuser root;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\n\
             http {{\n  access_log off;\n  client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n  \
             fastcgi_temp_path {at}/fastcgi;\n  uwsgi_temp_path {at}/uwsgi;\n  scgi_temp_path {at}/scgi;\n  \
             server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate {at}/cert.pem;\n    \
             ssl_certificate_key {at}/key.pem;\n    root {root};\n  }}\n}}\n"
        );
        fs::write(state.join("nginx.conf"), config).expect("room on the disk");
        let mut nginx = Command::new(program("nginx").expect("it was looked for"));
        nginx.arg("-c").arg(state.join("nginx.conf")).arg("-e").arg(state.join("error.log"));
        processes.push(quiet(&mut nginx).stdout(Stdio::null()).spawn().expect("it is installed"));
        ports.push(port);
    }
    let name = &scene.data.name;
    let places = ports.iter().map(|port| format!("https://localhost:{port}/{name}")).collect();
    Senders::listening(processes, &ports, places)
}

fn fetch_curl(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut curl = Command::new("curl");
    let root = scene.state("nginx-1").join("cert.pem");
    curl.args(["--silent", "--fail", "--cacert"]).arg(root).arg("-O").args(&senders.places);
    curl
}

fn fetch_aria2(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut aria2 = Command::new("aria2c");
    aria2.args(["--quiet", "--no-conf", "--file-allocation=none", "--min-split-size=1M"]);
    let count = scene.senders.to_string();
    aria2.args(["--split", &count, "--max-connection-per-server", "1", "--ca-certificate"]);
    aria2.arg(scene.state("nginx-1").join("cert.pem")).args(&senders.places);
    aria2
}

fn start_sshd(scene: &Scene<'_>) -> Senders {
    let state = scene.state("sshd");
    for name in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(state.join(name));
        assert!(keygen.status().is_ok_and(|status| status.success()), "ssh-keygen makes a key");
    }
    let (port, at) = (free_port(), state.to_string_lossy());
    let config = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {at}/host\nAuthorizedKeysFile {at}/user.pub\nPidFile none\n\
         StrictModes no\nPermitRootLogin yes\nUsePAM no\n"
    );
    fs::write(state.join("config"), config).expect("room on the disk");
    fs::set_permissions(state.join("user"), fs::Permissions::from_mode(0o600)).expect("it is ours");
    // Debian's sshd needs this folder for privilege separation.
    let _ = fs::create_dir_all("/run/sshd");
    let mut sshd = Command::new(program("sshd").expect("it was looked for"));
    sshd.args(["-D", "-f"]).arg(state.join("config"));
    let process = quiet(&mut sshd).stdout(Stdio::null()).spawn().expect("it is installed");
    Senders::listening(vec![process], &[port], vec![port.to_string()])
}

fn fetch_rsync_ssh(scene: &Scene<'_>, senders: &Senders) -> Command {
    let (port, key) = (&senders.places[0], scene.state("sshd").join("user"));
    let shell = format!(
        "ssh -F none -p {port} -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
        key.to_string_lossy()
    );
    let mut rsync = Command::new("rsync");
    rsync
        .args(["-a", "-e", &shell])
        .arg(format!("localhost:{}", scene.data.path().to_string_lossy()))
        .arg(".");
    rsync
}

fn start_rsyncd(scene: &Scene<'_>) -> Senders {
    let (state, port) = (scene.state("rsyncd"), free_port());
    let root = scene.data.dir.to_string_lossy();
    let config = format!(
        "port = {port}\naddress = 127.0.0.1\nuse chroot = no\nuid = 0\ngid = 0\nlog file = {}/log\n[data]\n  path = {root}\n",
        state.to_string_lossy()
    );
    fs::write(state.join("config"), config).expect("room on the disk");
    let mut rsync = Command::new("rsync");
    rsync.args(["--daemon", "--no-detach", "--config"]).arg(state.join("config"));
    let process = quiet(&mut rsync).stdout(Stdio::null()).spawn().expect("it is installed");
    Senders::listening(vec![process], &[port], vec![port.to_string()])
}

fn fetch_rsyncd(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut rsync = Command::new("rsync");
    rsync.arg("-a").arg(format!("rsync://127.0.0.1:{}/data/{}", senders.places[0], scene.data.name)).arg(".");
    rsync
}

fn start_torrent(scene: &Scene<'_>) -> Senders {
    let torrent = scene.state("torrent").join("data.torrent");
    let script = torrent_script();
    let made = Command::new(python()).arg(&script).arg("make").arg(scene.data.path()).arg(&torrent).status();
    assert!(made.is_ok_and(|status| status.success()), "a torrent is made");
    let seeds = scene.each().map(|_| {
        let mut seed = Command::new(python());
        seed.arg(&script).arg("seed").arg(&torrent).arg(&scene.data.dir).arg(free_port().to_string());
        seed
    });
    Senders::speaking(seeds, |line| line.strip_prefix("seeding at ").map(str::to_owned))
}

fn fetch_torrent(scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut fetch = Command::new(python());
    fetch.arg(torrent_script()).arg("fetch").arg(scene.state("torrent").join("data.torrent")).arg(".");
    fetch.args(&senders.places);
    fetch
}

fn fetch_rqbit(scene: &Scene<'_>, senders: &Senders) -> Command {
    let peers: Vec<String> = senders.places.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let mut rqbit = Command::new(program("rqbit").expect("it was looked for"));
    rqbit.args(["--disable-dht", "--disable-trackers", "download", "--disable-http-api", "--exit-on-finish"]);
    rqbit.args(["--overwrite", "--initial-peers", &peers.join(","), "-o", "."]);
    rqbit.arg(scene.state("torrent").join("data.torrent"));
    rqbit
}

fn start_sendme(scene: &Scene<'_>) -> Senders {
    let state = scene.state("sendme");
    let mut send = Command::new(program("sendme").expect("it was looked for"));
    // sendme keeps its store in its working folder.
    send.current_dir(state).args(["send", "--relay", "disabled"]).arg(scene.data.path());
    Senders::speaking(std::iter::once(send), |line| line.strip_prefix("sendme receive ").map(str::to_owned))
}

fn fetch_sendme(_scene: &Scene<'_>, senders: &Senders) -> Command {
    let mut receive = Command::new(program("sendme").expect("it was looked for"));
    receive.args(["receive", "--relay", "disabled"]).arg(&senders.places[0]);
    receive
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null());
    if std::env::var_os("SWARM_COMPARE_STDERR").is_none() {
        command.stderr(Stdio::null());
    }
    command
}

/// On the PATH, among the administrator's programs, or where install.sh puts it.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = installed().join("bin");
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), own]);
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn python() -> PathBuf {
    let own = installed().join("python/bin/python3");
    if own.is_file() { own } else { "python3".into() }
}

/// The folder into which install.sh installs programs that are no packages of the system.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/compare-peers")
}

fn torrent_script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/torrent.py")
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a port");
    listener.local_addr().expect("it is bound").port()
}

fn wait_for_port(port: u16) {
    let start = now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < READY_TIMEOUT, "nothing listens on port {port}");
        pause(Duration::from_millis(20));
    }
}

const READY_TIMEOUT: Duration = Duration::from_secs(10);
