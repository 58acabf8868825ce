//! A web server with one file, good for one request.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// The server.
pub(crate) struct HttpFile {
    url: String,
}

impl HttpFile {
    /// Answers the next request with these bytes.
    pub(crate) fn serve(status: &'static str, bytes: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody asks");
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let head =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", bytes.len());
            // The client may have enough of it.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&bytes));
        });
        Self { url: format!("http://127.0.0.1:{port}/film.swarm") }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}
