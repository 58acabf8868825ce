//! Much of the same, as fast as the victim takes it.

use super::talk::Talk;

/// Says `bytes` so many times while it reads, and drops, what comes. Returns how often it got that far.
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
