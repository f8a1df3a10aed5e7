//! The tokens that a server knows.

use std::{fmt, fs, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use thiserror::Error;
use tokio::sync::watch;

use super::Identity;
use crate::reload;

/// The fewest characters of a token: 16 of base64 are 96 random bits, which nobody guesses over a network.
const SHORTEST: usize = 16;

/// The most: 128 of hexadecimal are 512 random bits. A call's token is compared with as many of each.
const LONGEST: usize = 128;

/// The most tokens: each call is compared with all of them.
const MOST: usize = 256;

/// The tokens that a server knows, each with the name of its bearer. Clones share them.
#[derive(Clone)]
pub struct Tokens {
    current: Current,
}

#[derive(Clone)]
enum Current {
    Fixed(Arc<Table>),
    File(watch::Receiver<Arc<Table>>),
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// A line that is no token. No part of it is told: it may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// It is not two words.
    #[error("line {line} must be a name and a token, separated by a space")]
    NotTwoWords {
        /// Counted from 1.
        line: usize,
    },
    /// The token is too short, too long, or has characters that no header may carry so.
    #[error(
        "the token in line {line} must have {SHORTEST} to {LONGEST} letters, digits or -._~+/ (and = at its end)"
    )]
    NotAToken {
        /// Counted from 1.
        line: usize,
    },
    /// Two bearers have it.
    #[error("the token in line {line} stands in another line too")]
    Twice {
        /// The later one, counted from 1.
        line: usize,
    },
    /// There are too many.
    #[error("there are more than {MOST} tokens")]
    TooMany,
    /// There is none.
    #[error("there is no token: write a line with a name and a token for each caller")]
    None,
}

impl Tokens {
    /// Those in `text`: in each line a name and a token, separated by spaces. Empty lines, and those that begin
    /// with `#`, are passed over.
    ///
    /// # Errors
    /// [`TokenError`], which names the line and quotes nothing.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let table = Arc::new(Table::parse(text)?);
        Ok(Self {
            current: Current::Fixed(table),
        })
    }

    /// Those in the file at `path`, which is looked at `every` so often, and read again when it has changed. If
    /// it cannot be used then, the log says why, and the tokens from before stay known.
    ///
    /// # Errors
    /// When the file cannot be used at the start.
    pub fn watch(path: PathBuf, every: Duration) -> anyhow::Result<Self> {
        let current = reload::start(File(path), every)?;
        Ok(Self {
            current: Current::File(current),
        })
    }

    /// The bearer of `token`, in a time that does not depend on which tokens are known.
    pub(super) fn find(&self, token: &[u8]) -> Option<Identity> {
        let token = Padded::new(token)?;
        match &self.current {
            Current::Fixed(table) => table.find(&token),
            Current::File(table) => table.borrow().find(&token),
        }
    }
}

struct File(PathBuf);

impl reload::Files for File {
    const WHAT: &'static str = "tokens";
    type Content = Vec<u8>;
    type Use = Arc<Table>;

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        let path = self.0.display();
        fs::read(&self.0).with_context(|| format!("--auth-tokens {path} cannot be read"))
    }

    fn parse(&self, content: &Vec<u8>) -> anyhow::Result<Arc<Table>> {
        let path = self.0.display();
        // The error of UTF-8 tells a place alone.
        let parsed = str::from_utf8(content).map_err(anyhow::Error::new);
        let parsed = parsed.and_then(|text| Ok(Table::parse(text)?));
        let table = parsed.with_context(|| format!("--auth-tokens {path} cannot be used"))?;
        Ok(Arc::new(table))
    }
}

/// Each token with its bearer.
struct Table(Vec<(Padded, Identity)>);

impl Table {
    fn parse(text: &str) -> Result<Self, TokenError> {
        let mut table = Self(Vec::new());
        for (line, words) in (1..).zip(text.lines()) {
            let mut words = words.split_whitespace();
            let (name, token) = match (words.next(), words.next(), words.next()) {
                (None, ..) => continue,
                (Some(comment), ..) if comment.starts_with('#') => continue,
                (Some(name), Some(token), None) => (name, token.as_bytes()),
                _ => return Err(TokenError::NotTwoWords { line }),
            };
            if token.len() < SHORTEST || !is_token(token) {
                return Err(TokenError::NotAToken { line });
            }
            let token = Padded::new(token).ok_or(TokenError::NotAToken { line })?;
            if table.find(&token).is_some() {
                return Err(TokenError::Twice { line });
            }
            table.0.push((token, Identity(name.into())));
        }
        match table.0.len() {
            0 => Err(TokenError::None),
            1..=MOST => Ok(table),
            _ => Err(TokenError::TooMany),
        }
    }

    /// Compares `token` with every one, to the last byte, whatever it has found: how long that takes says only
    /// how many there are.
    fn find(&self, token: &Padded) -> Option<Identity> {
        let mut found = 0_u64;
        for (place, (known, _)) in (1..).zip(&self.0) {
            found.conditional_assign(&place, known.0.ct_eq(&token.0));
        }
        let place = usize::try_from(found).ok()?.checked_sub(1)?;
        self.0.get(place).map(|(_, caller)| caller.clone())
    }
}

/// Returns true if `token` is one as RFC 6750 §2.1 writes it.
fn is_token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|byte| *byte != b'=');
    let body = &token[..end.map_or(0, |last| last + 1)];
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    !body.is_empty() && body.iter().all(is_of_token)
}

/// A token, filled up with zeros, which none has: all are of one length, and compared eight bytes at a time.
struct Padded([u64; LONGEST / 8]);

impl Padded {
    /// None if it is none that can be known.
    fn new(token: &[u8]) -> Option<Self> {
        if token.contains(&0) {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..token.len())?.copy_from_slice(token);
        let mut padded = [0; LONGEST / 8];
        for (eight, bytes) in padded.iter_mut().zip(bytes.as_chunks().0) {
            *eight = u64::from_ne_bytes(*bytes);
        }
        Some(Self(padded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef";

    fn refused(text: &str) -> TokenError {
        Tokens::new(text).expect_err(text)
    }

    #[test]
    fn a_line_is_a_name_and_a_token() {
        let text = format!("# who calls\n\nshop {ONE}\r\n  till\t{ONE}0==  \n");
        let tokens = Tokens::new(&text).unwrap();
        let who = |token: &str| {
            tokens
                .find(token.as_bytes())
                .map(|who| who.name().to_owned())
        };
        assert_eq!(who(ONE).as_deref(), Some("shop"));
        assert_eq!(who(&format!("{ONE}0==")).as_deref(), Some("till"));
        for other in [
            "",
            "0",
            &ONE[1..],
            "0123456789abcdeF",
            &format!("{ONE}\0"),
            &"x".repeat(1000),
        ] {
            assert_eq!(who(other), None, "{other:?}");
        }
        assert_eq!(format!("{tokens:?}"), "Tokens(..)");
    }

    #[test]
    fn a_wrong_line_is_named_and_not_quoted() {
        let longest = "x".repeat(LONGEST);
        assert!(Tokens::new(&format!("a {longest}")).is_ok());
        for (text, error) in [
            ("", TokenError::None),
            ("# nobody", TokenError::None),
            (ONE, TokenError::NotTwoWords { line: 1 }),
            (&format!("\na b {ONE}"), TokenError::NotTwoWords { line: 2 }),
            (
                &format!("a {}", &ONE[1..]),
                TokenError::NotAToken { line: 1 },
            ),
            (&format!("a {longest}x"), TokenError::NotAToken { line: 1 }),
            (&format!("a {ONE}é"), TokenError::NotAToken { line: 1 }),
            (&format!("a {ONE}=a"), TokenError::NotAToken { line: 1 }),
            ("a ================", TokenError::NotAToken { line: 1 }),
            (&format!("a {ONE}\nb {ONE}"), TokenError::Twice { line: 2 }),
        ] {
            let found = refused(text);
            assert_eq!(found, error, "{text}");
            assert!(!found.to_string().contains(&ONE[1..]), "{found}");
        }
        let many: String = (0..=MOST).map(|n| format!("a {ONE}{n}\n")).collect();
        assert_eq!(refused(&many), TokenError::TooMany);
    }

    #[test]
    fn every_token_is_found_among_the_most() {
        let many: String = (0..MOST).map(|n| format!("{n} {ONE}{n}\n")).collect();
        let tokens = Tokens::new(&many).unwrap();
        for n in 0..MOST {
            let found = tokens.find(format!("{ONE}{n}").as_bytes());
            assert_eq!(found.unwrap().name(), n.to_string());
        }
    }
}
