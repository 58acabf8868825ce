//! A ticket: one string that a double click selects whole. `swarm` and base32 (RFC 4648, lower case, no padding) of a
//! protobuf `Ticket` and the first 4 bytes of its BLAKE3.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use prost::Message as _;

use super::seal::ContentKey;
use super::sign::Signature;
use super::source::Source;
use super::wrap::WrappedKey;
use crate::base::ContentId;
use crate::base::limits::{COORDINATORS_MAX, SIGNATURES_MAX, SOURCES_MAX, TICKET_LEN_MAX, WRAPPED_KEYS_MAX};
use crate::proto;

/// A content, its first sources and, if it is sealed, its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The content to fetch.
    pub content: ContentId,
    /// Nodes that had it when the ticket was made.
    pub sources: Vec<Source>,
    /// Coordinators that know more sources.
    pub coordinators: Vec<Source>,
    /// Publishers that signed the content; each was checked.
    pub signatures: Vec<Signature>,
    /// The key of a sealed content, for every holder of the ticket.
    pub key: Option<ContentKey>,
    /// The key of a sealed content, encrypted for single nodes.
    pub wrapped_keys: Vec<WrappedKey>,
}

/// Why a string is not a ticket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// The text does not start with `swarm1`.
    #[error("not a ticket: a ticket starts with `swarm1`")]
    Prefix,
    /// Longer than a ticket may be.
    #[error("not a ticket: longer than {TICKET_LEN_MAX} characters")]
    TooLong,
    /// A character that base32 does not have, or a wrong checksum.
    #[error("the ticket has a typo or a part is missing: copy it again, whole")]
    Checksum,
    /// A signature that its key did not make over this content.
    #[error("a signature on the ticket is not valid: do not trust it")]
    Signature,
    /// A text with tickets for more than one content.
    #[error("the text has tickets for several contents: give one of them")]
    Several,
    /// The checksum holds, the rest does not.
    #[error("the ticket does not follow the format: ask for a new one")]
    Malformed,
}

impl Ticket {
    /// A ticket that holds the content id alone.
    pub fn new(content: ContentId) -> Self {
        let (sources, coordinators, signatures) = (Vec::new(), Vec::new(), Vec::new());
        Self { content, sources, coordinators, signatures, key: None, wrapped_keys: Vec::new() }
    }

    /// Whether a string looks like a ticket.
    pub fn is_like(text: &str) -> bool {
        text.get(..PREFIX.len()).is_some_and(|p| p.eq_ignore_ascii_case(PREFIX))
            && text.bytes().all(|b| b.is_ascii_alphanumeric())
    }

    /// The ticket in a text as people pass it on: in quotes or brackets, at the end of a sentence, wrapped over lines, with
    /// invisible characters, as a whole command, or as the output of a seed. The checksum tells where it ends.
    ///
    /// # Errors
    /// [`TicketError::Prefix`] if nothing in the text looks like a ticket; [`TicketError::Several`] if it names several contents.
    pub fn in_text(text: &str) -> Result<Self, TicketError> {
        let text: String = text.chars().take(TEXT_LEN_MAX).filter(|c| !is_invisible(*c)).collect();
        let mut found: Option<Self> = None;
        let mut wrong = None;
        let mut tries_left = TRIES_MAX;
        let mut rest = text.as_str();
        while let Some(start) = start_of_ticket(rest) {
            rest = &rest[start..];
            match joined(rest, &mut tries_left) {
                Ok((ticket, len)) => {
                    if found.as_ref().is_some_and(|before| before.content != ticket.content) {
                        return Err(TicketError::Several);
                    }
                    found.get_or_insert(ticket);
                    rest = &rest[len..];
                }
                Err(error) => {
                    wrong = wrong.or(error);
                    rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
                }
            }
        }
        // A short word that starts like a ticket is taken for one (with a typo) only where it is the whole text.
        let none = if Self::is_like(text.trim()) { TicketError::Checksum } else { TicketError::Prefix };
        found.ok_or(wrong.unwrap_or(none))
    }
}

/// Offset of the next word that starts like a ticket.
fn start_of_ticket(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(PREFIX.len() - 1)).find(|&at| {
        let is_word = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        is_word && bytes[at..at + PREFIX.len()].eq_ignore_ascii_case(PREFIX.as_bytes())
    })
}

/// The ticket at the start of a text, and its length there: the first word, or the first word joined with those after it, as
/// mail programs wrap lines. `None` in place of an error if the text does not look like a ticket.
fn joined(text: &str, tries_left: &mut usize) -> Result<(Ticket, usize), Option<TicketError>> {
    let bytes = text.as_bytes();
    let (mut digits, mut at, mut first_error) = (String::new(), 0, None);
    while digits.len() <= TICKET_LEN_MAX && *tries_left > 0 {
        let len = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        if len == 0 {
            break;
        }
        digits += &text[at..at + len];
        at += len;
        *tries_left -= 1;
        match digits.parse::<Ticket>() {
            Ok(ticket) => return Ok((ticket, at)),
            // The checksum holds, so this is the whole ticket, and it is invalid: more words cannot mend it.
            Err(error @ (TicketError::Signature | TicketError::Malformed)) => return Err(Some(error)),
            Err(error) => first_error = first_error.or((len >= WORD_LEN_MIN).then_some(error)),
        }
        at += bytes[at..].iter().take_while(|byte| is_between_lines(**byte)).count();
    }
    Err(first_error)
}

/// What may stand between the parts of a wrapped ticket: white space, a quotation mark of mail, a continuation sign.
fn is_between_lines(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'>' | b'|' | b'\\' | b'=')
}

/// Zero-width characters, which chats and web pages insert into long words.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [sources, coordinators] =
            [&self.sources, &self.coordinators].map(|list| list.iter().map(Source::to_proto).collect());
        let content = self.content.as_bytes().to_vec().into();
        let signatures = self.signatures.iter().map(Signature::to_proto).collect();
        let key = self.key.as_ref().map(|key| key.as_bytes().to_vec().into()).unwrap_or_default();
        let wrapped_keys = self.wrapped_keys.iter().map(|key| key.as_bytes().to_vec().into()).collect();
        let ticket = proto::Ticket { content, sources, coordinators, signatures, key, wrapped_keys };
        let mut bytes = ticket.encode_to_vec();
        bytes.extend(checksum(&bytes));
        write!(f, "{PREFIX}{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
    }
}

impl FromStr for Ticket {
    type Err = TicketError;

    fn from_str(text: &str) -> Result<Self, TicketError> {
        let text = text.trim();
        if text.len() > TICKET_LEN_MAX {
            return Err(TicketError::TooLong);
        }
        let prefix = text.get(..PREFIX.len()).ok_or(TicketError::Prefix)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(TicketError::Prefix);
        }
        let digits = text[PREFIX.len()..].to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(digits.as_bytes()).map_err(|_| TicketError::Checksum)?;
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or(TicketError::Checksum)?;
        if *sum != checksum(bytes) {
            return Err(TicketError::Checksum);
        }
        let ticket = proto::Ticket::decode(bytes).map_err(|_| TicketError::Malformed)?;
        let content = ContentId::from_slice(&ticket.content).ok_or(TicketError::Malformed)?;
        if ticket.sources.len() > SOURCES_MAX
            || ticket.coordinators.len() > COORDINATORS_MAX
            || ticket.signatures.len() > SIGNATURES_MAX
            || ticket.wrapped_keys.len() > WRAPPED_KEYS_MAX
        {
            return Err(TicketError::Malformed);
        }
        let read = |list: &[proto::Source]| {
            list.iter().map(Source::from_proto).collect::<Option<_>>().ok_or(TicketError::Malformed)
        };
        let signatures = ticket.signatures.iter().map(|signed| Signature::from_proto(content, signed));
        let key = match ticket.key.as_ref() {
            [] => None,
            bytes => Some(ContentKey::from_bytes(bytes.try_into().map_err(|_| TicketError::Malformed)?)),
        };
        let wrapped_keys = ticket.wrapped_keys.iter().map(|bytes| WrappedKey::from_slice(bytes));
        Ok(Self {
            content,
            sources: read(&ticket.sources)?,
            coordinators: read(&ticket.coordinators)?,
            signatures: signatures.collect::<Option<_>>().ok_or(TicketError::Signature)?,
            key,
            wrapped_keys: wrapped_keys.collect::<Option<_>>().ok_or(TicketError::Malformed)?,
        })
    }
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(bytes);
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

const PREFIX: &str = "swarm1";
/// Searched length of a text, characters.
const TEXT_LEN_MAX: usize = 1 << 20;
/// Attempts to read a ticket in one text: more than the longest ticket in lines of 16 characters takes.
const TRIES_MAX: usize = 8192;
/// A shorter word that starts like a ticket may be an ordinary name.
const WORD_LEN_MIN: usize = 40;
const _: () = assert!(TRIES_MAX > TICKET_LEN_MAX / 16);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::NodeId;
    use crate::manifest::SigningKey;

    fn ticket() -> Ticket {
        let addresses = vec![
            "192.0.2.1:4433".parse().expect("an address"),
            "seed.example:1".parse().expect("an address"),
        ];
        Ticket {
            coordinators: vec![Source { node: NodeId::from_bytes([9; 32]), addresses: Vec::new() }],
            content: ContentId::from_bytes([7; 32]),
            sources: vec![Source { node: NodeId::from_bytes([9; 32]), addresses }],
            signatures: vec![SigningKey::from_seed(&[3; 32]).sign(ContentId::from_bytes([7; 32]))],
            key: Some(ContentKey::from_bytes([4; 32])),
            wrapped_keys: vec![WrappedKey::from_slice(&[5; 80]).expect("the right length")],
        }
    }

    #[test]
    fn a_ticket_survives_being_printed_and_read() {
        let text = ticket().to_string();
        assert!(Ticket::is_like(&text));
        assert_eq!(text.parse(), Ok(ticket()));
        assert_eq!(format!(" {}\n", text.to_uppercase()).parse(), Ok(ticket()));
    }

    #[test]
    fn a_ticket_is_found_in_what_people_hand_on() {
        let text = ticket().to_string();
        let (front, back) = text.split_at(77);
        let (middle, end) = back.split_at(40);
        for shown in [
            format!("`{text}`"),
            format!("\u{201c}{text}\u{201d}"),
            format!("<{text}>."),
            format!("{front}\u{200b}{back}\u{feff}"),
            format!("{front}\r\n{middle}\n{end}\n"),
            format!("> {front}\n> {back}\n"),
            format!("{front}=\n{back}"),
            format!("swarm fetch {text} -o films"),
            format!("swarm fetch {front}\\\n  {back} -o films"),
            format!(
                "seeding swarm1 film, 3 MiB, at 192.0.2.1:1\nothers fetch it with: swarm fetch TICKET\n{text}\n"
            ),
            format!("{{\"event\":\"ready\",\"ticket\":\"{text}\"}}"),
            format!("take {text} or, the same again, {text}!"),
        ] {
            assert_eq!(Ticket::in_text(&shown), Ok(ticket()), "{shown}");
        }
    }

    #[test]
    fn a_text_without_one_ticket_is_none() {
        let text = ticket().to_string();
        let other = Ticket::new(ContentId::from_bytes([8; 32]));
        for (shown, error) in [
            ("a film about swarm1".to_owned(), TicketError::Prefix),
            (format!("myswarm1{text}"), TicketError::Prefix),
            (text[..text.len() - 3].to_owned(), TicketError::Checksum),
            (format!("'{PREFIX}{}'", text[PREFIX.len()..].replacen('a', "b", 1)), TicketError::Checksum),
            ("swarm1abc".to_owned(), TicketError::Checksum),
            (format!("{text} {other}"), TicketError::Several),
            ("swarm1 ".repeat(10_000), TicketError::Prefix),
            ("swarm1aaaaaaa".repeat(100_000), TicketError::TooLong),
        ] {
            assert_eq!(Ticket::in_text(&shown), Err(error), "{shown:.200}");
        }
    }

    #[test]
    fn any_single_typo_is_noticed() {
        let text = ticket().to_string();
        for at in 6..text.len() {
            let old = text.as_bytes()[at];
            let new = if old == b'q' { 'r' } else { 'q' };
            let typo = format!("{}{new}{}", &text[..at], &text[at + 1..]);
            assert_eq!(typo.parse::<Ticket>(), Err(TicketError::Checksum), "at {at}");
        }
        assert_eq!(text[..text.len() - 3].parse::<Ticket>(), Err(TicketError::Checksum));
        assert_eq!("film.swarm".parse::<Ticket>(), Err(TicketError::Prefix));
    }

    #[test]
    fn a_signature_of_another_content_makes_a_ticket_invalid() {
        let other = SigningKey::from_seed(&[3; 32]).sign(ContentId::from_bytes([8; 32]));
        let forged = Ticket { signatures: vec![other], ..ticket() };
        assert_eq!(forged.to_string().parse::<Ticket>(), Err(TicketError::Signature));
    }

    proptest! {
        #[test]
        fn no_string_makes_it_panic(text in "(swarm1)?[a-zA-Z2-7é]{0,80}") {
            let _ = text.parse::<Ticket>();
            let _ = Ticket::in_text(&text);
        }
    }
}
