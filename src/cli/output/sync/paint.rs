//! Colours for terminals that show them. Invariant: colours go around text whose hidden characters are escaped already.

use std::io::IsTerminal as _;

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Paint(bool);

impl Paint {
    /// For what goes to stdout.
    pub(in crate::cli) fn stdout() -> Self {
        Self(std::io::stdout().is_terminal() && are_wanted())
    }

    /// For what goes to stderr.
    pub(in crate::cli) fn stderr() -> Self {
        Self(std::io::stderr().is_terminal() && are_wanted())
    }

    /// No colours.
    #[cfg(test)]
    pub(super) const NONE: Self = Self(false);

    pub(super) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// A line of a unified diff.
    pub(super) fn diff_line(self, line: &str) -> String {
        match line.chars().next() {
            Some('+') => self.wrap("32", line),
            Some('-') => self.wrap("31", line),
            Some('@') => self.wrap("36", line),
            _ => line.to_owned(),
        }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// As <https://no-color.org> has it.
fn are_wanted() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_lines_are_told_apart() {
        assert_eq!(Paint(true).diff_line("+two"), "\u{1b}[32m+two\u{1b}[0m");
        assert_eq!(Paint(true).diff_line(" same"), " same");
        assert_eq!(Paint::NONE.diff_line("-one"), "-one");
    }
}
