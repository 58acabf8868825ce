//! Words every room shares: ids, time, rates, chance, sets of chunks, limits. Knows nothing of any other room.

pub mod limits;

mod category;
mod ids;
mod time;
mod units;

mod bitfield;
mod ranges;
mod rng;

pub mod text;

mod windows;

mod shown;
mod zone;

pub use bitfield::Bitfield;
pub use category::Category;
pub use ids::{ContentId, NodeId, ParseIdError};
pub use ranges::RangeSet;
pub use rng::Rng;
pub use rng::mix;
pub use shown::{Escaping, Outside, Shown, is_hidden};
pub use time::Instant;
pub use units::{ByteLen, ParseUnitError, Rate};
pub use windows::{WindowShare, Windows};
pub use zone::{Zone, ZoneError};
