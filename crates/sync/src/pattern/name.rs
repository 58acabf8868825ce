//! Patterns of single names.

use super::PatternFault;
use super::class::Class;

/// What a name has to look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamePattern {
    /// These bytes: most patterns are compared at once.
    Literal(Box<[u8]>),
    /// A star and these bytes: `*.o`.
    Suffix(Box<[u8]>),
    /// Anything else.
    Tokens(Box<[Token]>),
}

/// What one or more bytes of a name have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Byte(u8),
    /// `?`
    AnyByte,
    /// `*`, and each star of `**`.
    AnyBytes,
    Class(Class),
}

/// The names between the slashes of a pattern. A slash within a class is none.
pub(super) fn parse_names(pattern: &str) -> Result<Vec<NamePattern>, PatternFault> {
    let mut names = Vec::new();
    let mut name = Vec::new();
    let mut rest = pattern.as_bytes();
    while let Some((token, behind)) = first_token(rest)? {
        rest = behind;
        if token == Token::Byte(b'/') {
            names.push(NamePattern::new(std::mem::take(&mut name)));
        } else {
            name.push(token);
        }
    }
    names.push(NamePattern::new(name));
    Ok(names)
}

fn first_token(text: &[u8]) -> Result<Option<(Token, &[u8])>, PatternFault> {
    let Some((&first, rest)) = text.split_first() else { return Ok(None) };
    Ok(Some(match first {
        b'?' => (Token::AnyByte, rest),
        b'*' => (Token::AnyBytes, rest),
        b'[' => Class::parse(rest).map(|(class, rest)| (Token::Class(class), rest))?,
        b'\\' => match rest {
            [escaped, rest @ ..] => (Token::Byte(*escaped), rest),
            [] => return Err(PatternFault::LastBackslash),
        },
        byte => (Token::Byte(byte), rest),
    }))
}

impl NamePattern {
    fn new(tokens: Vec<Token>) -> Self {
        if let Some(bytes) = literal(&tokens) {
            return Self::Literal(bytes);
        }
        match tokens.split_first() {
            Some((Token::AnyBytes, rest)) if !rest.is_empty() => {
                literal(rest).map_or_else(|| Self::Tokens(tokens.clone().into()), Self::Suffix)
            }
            _ => Self::Tokens(tokens.into()),
        }
    }

    /// Whether it is `**`, which matches folders where it stands between slashes. More stars are the same.
    pub(super) fn is_folders(&self) -> bool {
        let is_star = |token: &Token| *token == Token::AnyBytes;
        matches!(self, Self::Tokens(tokens) if tokens.len() > 1 && tokens.iter().all(is_star))
    }

    pub(super) fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(bytes) => name == &**bytes,
            Self::Suffix(bytes) => name.ends_with(bytes),
            Self::Tokens(tokens) => matches_tokens(tokens, name),
        }
    }
}

fn literal(tokens: &[Token]) -> Option<Box<[u8]>> {
    tokens.iter().map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None }).collect()
}

/// If a byte does not match, the last star takes one byte more. An earlier one never has to: whatever it could give, the last one can.
fn matches_tokens(tokens: &[Token], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut retry = None;
    loop {
        match (tokens.get(at), name.get(read)) {
            (None, None) => return true,
            (Some(Token::AnyBytes), _) => {
                at += 1;
                retry = Some((at, read));
                continue;
            }
            (Some(token), Some(&byte)) if token.is_met_by(byte) => {
                (at, read) = (at + 1, read + 1);
                continue;
            }
            (Some(_) | None, _) => {}
        }
        let Some((after, from)) = retry.filter(|&(_, from)| from < name.len()) else { return false };
        retry = Some((after, from + 1));
        (at, read) = (after, from + 1);
    }
}

impl Token {
    fn is_met_by(self, byte: u8) -> bool {
        match self {
            Self::Byte(expected) => byte == expected,
            Self::AnyByte | Self::AnyBytes => true,
            Self::Class(class) => class.has(byte),
        }
    }
}
