//! Web servers: one serves a file for one request, one passes each request to a script.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// The server.
pub struct HttpFile {
    url: String,
}

impl HttpFile {
    /// Answers the next request with these bytes.
    pub fn serve(status: &'static str, bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client connects");
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len());
            // The client may have closed the connection.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        });
        Self { url: format!("http://127.0.0.1:{port}/film.swarm") }
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A server that hands each connection to a script, with the first line of its request.
pub struct HttpScript {
    url: String,
    asked: Receiver<()>,
}

impl HttpScript {
    /// Serves until the test process ends.
    pub fn serve(script: impl Fn(&str, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (tell, asked) = sync_channel(1);
        let script = Arc::new(script);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, script, tell) = (stream.expect("a client"), Arc::clone(&script), tell.clone());
                std::thread::spawn(move || {
                    let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
                    let first = lines.next().and_then(Result::ok).unwrap_or_default();
                    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
                    // The first request is enough, so a full channel is fine.
                    let _ = tell.try_send(());
                    script(&first, stream);
                });
            }
        });
        Self { url: format!("http://127.0.0.1:{port}/film.swarm"), asked }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits for the first request.
    pub fn wait_asked(&self) {
        self.asked.recv_timeout(Duration::from_secs(60)).expect("a request");
    }
}
