//! What a file has to come to: the header `Repr-Digest` (RFC 9530). Invariant: of several digests in a header, one that is known is compared.

use data_encoding::BASE64;
use ring::digest::{Algorithm, Context, SHA256, SHA512};

use crate::problem::{Answer, Problem};

/// A digest that is expected.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    algorithm: &'static Algorithm,
    value: Vec<u8>,
}

impl Expected {
    /// As a header has it: `sha-256=:BASE64:`, or `sha-512`.
    pub(crate) fn of(header: &str) -> Answer<Self> {
        let known = header.split(',').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            let algorithm = match name.trim().to_ascii_lowercase().as_str() {
                "sha-256" => &SHA256,
                "sha-512" => &SHA512,
                _ => return None,
            };
            let value = value.trim().strip_prefix(':')?.strip_suffix(':')?;
            let value = BASE64.decode(value.as_bytes()).ok()?;
            (value.len() == algorithm.output_len()).then_some(Self { algorithm, value })
        });
        known.ok_or_else(|| {
            Problem::bad("Repr-Digest is `sha-256=:BASE64:` or `sha-512=:BASE64:`, as in RFC 9530")
        })
    }

    /// Whether bytes come to it, which `read` gives from a place on. Blocks.
    pub(crate) fn is_of<E>(
        &self,
        mut read: impl FnMut(&mut [u8], u64) -> Result<usize, E>,
    ) -> Result<bool, E> {
        let (mut context, mut block, mut at) = (Context::new(self.algorithm), vec![0; BLOCK_LEN], 0);
        loop {
            match read(&mut block, at)? {
                0 => return Ok(context.finish().as_ref() == self.value),
                len => {
                    context.update(&block[..len]);
                    at += len as u64;
                }
            }
        }
    }
}

const BLOCK_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(header: &str, bytes: &[u8]) -> Option<bool> {
        let read = |block: &mut [u8], at: u64| -> Result<usize, std::convert::Infallible> {
            let rest = bytes.get(usize::try_from(at).expect("short")..).unwrap_or_default();
            let len = rest.len().min(3).min(block.len());
            block[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        };
        Expected::of(header).ok()?.is_of(read).ok()
    }

    #[test]
    fn a_digest_is_read_and_compared() {
        // The example of RFC 9530, appendix B.1.
        let hello = "{\"hello\": \"world\"}\n";
        let sha = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:";
        assert_eq!(is_of(sha, hello.as_bytes()), Some(true));
        assert_eq!(is_of(&format!("md5=:AAAA:, {sha}"), hello.as_bytes()), Some(true));
        assert_eq!(is_of(sha, b"{\"hello\": \"World\"}\n"), Some(false));
        for none in ["", "md5=:AAAA:", "sha-256=abc", "sha-256=:AAAA:", "sha-256=:RK/0:"] {
            assert_eq!(is_of(none, b""), None, "{none}");
        }
    }
}
