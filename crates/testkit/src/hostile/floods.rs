//! Sends one message again and again, as fast as the victim reads.

use super::talk::Talk;

/// Sends `bytes` up to `times` times while it reads and drops the answers. Returns how often it succeeded.
pub async fn flood(talk: &mut Talk, bytes: &[u8], times: usize) -> usize {
    let (send, drain) = talk.halves();
    let said = async {
        for said in 0..times {
            if send.write_all(bytes).await.is_err() {
                return said;
            }
        }
        times
    };
    tokio::select! {
        said = said => said,
        () = drain => 0,
    }
}
