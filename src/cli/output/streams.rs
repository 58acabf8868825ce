//! Every write to stdout and stderr. Invariant: no write panics, whatever is at the other end. What goes to stderr may be lost;
//! what goes to stdout is written whole or the caller learns why it is not.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use swarm_core::base::is_hidden;

/// One writer at a time, so that lines stay whole.
static STDOUT: Mutex<()> = Mutex::new(());
/// The same; true after a write that ended within a line.
static STDERR: Mutex<bool> = Mutex::new(false);

/// Stdout, unbuffered, for what is written piece by piece.
pub(in crate::cli) struct Stdout;

/// Where log lines go; `is_json` says what they are.
#[derive(Clone, Copy)]
pub(in crate::cli) struct LogLines {
    pub(in crate::cli) is_json: bool,
}

/// Writes all of it to stdout, or says why it cannot. A pipe that does not block is waited for, as one that does would wait.
pub(super) fn to_stdout(mut bytes: &[u8]) -> io::Result<()> {
    let _turn = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), bytes).map_err(io::Error::from) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(FULL_PIPE_PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes text for people to stderr, as far as that takes it at once.
pub(super) fn to_stderr(text: &str) {
    let mut is_cut = STDERR.lock().unwrap_or_else(PoisonError::into_inner);
    let text: Cow<'_, str> = if *is_cut { format!("\n{text}").into() } else { text.into() };
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        match rustix::io::write(rustix::stdio::stderr(), bytes) {
            Ok(len) if len > 0 => {
                *is_cut = bytes[len - 1] != b'\n';
                bytes = &bytes[len..];
            }
            Err(rustix::io::Errno::INTR) => {}
            // A full disk or pipe, or no reader at the other end: the work matters more than its report.
            Ok(_) | Err(_) => return,
        }
    }
}

/// Somebody else ended the line on stderr.
pub(super) fn begin_line() {
    *STDERR.lock().unwrap_or_else(PoisonError::into_inner) = false;
}

/// JSON text with what a terminal would act on written as JSON escapes, which leaves the data the same. The serializer has
/// escaped the characters below U+0020 already.
pub(super) fn json_text(text: &str) -> Cow<'_, str> {
    let is_bare = |char: char| char > ' ' && is_hidden(char);
    if !text.contains(is_bare) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        if is_bare(char) {
            // JSON escapes are units of UTF-16.
            char.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped += &format!("\\u{unit:04x}"));
        } else {
            escaped.push(char);
        }
    }
    escaped.into()
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        to_stdout(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for LogLines {
    /// Takes whole lines, as the subscriber writes them; text has its values escaped already.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        to_stderr(&if self.is_json { json_text(&text) } else { text });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Short for a reader that catches up, long enough to cost nothing.
const FULL_PIPE_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_escaped_without_a_change_of_its_data() {
        let data = "a\u{1b}b\u{9b}c\u{202e}d\u{e0041}e\u{7f}ü🎬\\n";
        let text = serde_json::to_string(data).expect("a string");
        let escaped = json_text(&text);
        assert_eq!(escaped, "\"a\\u001bb\\u009bc\\u202ed\\udb40\\udc41e\\u007fü🎬\\\\n\"");
        assert_eq!(serde_json::from_str::<String>(&escaped).expect("JSON still"), data);
    }
}
