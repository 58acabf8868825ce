//! Strategies by pattern: `PATTERN=STRATEGY`, in the order in which a user wrote them. The last one that matches decides, as in git's
//! files of patterns. Absent here: what a strategy does.

use std::fmt;
use std::str::FromStr;

use crate::{Pattern, PatternFault, Strategy, TreePath};

/// Rules that give paths a strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StrategyRules(Vec<StrategyRule>);

/// One `PATTERN=STRATEGY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyRule {
    /// The paths, with the syntax of `.gitignore`; all that stands in a folder that it matches is meant too.
    pub pattern: Pattern,
    /// How their conflicts are decided.
    pub strategy: Strategy,
}

/// A text that names no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no strategy: use one of {names}", names = Strategy::NAMES.join(", "))]
pub struct UnknownStrategy(pub String);

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStrategyRule {
    /// It has no `=`.
    #[error("{0:?} has no =: write PATTERN=STRATEGY, such as *.md=auto-merge; strategies are {names}", names = Strategy::NAMES.join(", "))]
    NoEquals(String),
    /// What stands before the `=` is no pattern.
    #[error("{text:?} is no pattern: {fault}")]
    Pattern {
        /// As it was written.
        text: String,
        /// Why.
        fault: PatternFault,
    },
    /// What stands behind the `=` is no strategy.
    #[error(transparent)]
    Strategy(#[from] UnknownStrategy),
}

impl StrategyRules {
    /// Reads rules, each `PATTERN=STRATEGY`.
    pub fn parse<T: AsRef<str>>(rules: impl IntoIterator<Item = T>) -> Result<Self, BadStrategyRule> {
        rules.into_iter().map(|rule| rule.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// The strategy of a path; `None` if no pattern matches. A pattern for folders matches the path itself too: at a conflict, either side
    /// may have a folder there.
    pub fn strategy_of(&self, path: &TreePath) -> Option<Strategy> {
        let matching = self.0.iter().rev().find(|rule| rule.pattern.matches_at_or_above(path, true));
        matching.map(|rule| rule.strategy)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for StrategyRule {
    type Err = BadStrategyRule;

    /// The last `=` counts: a pattern may have some.
    fn from_str(text: &str) -> Result<Self, BadStrategyRule> {
        let (pattern, strategy) =
            text.rsplit_once('=').ok_or_else(|| BadStrategyRule::NoEquals(text.into()))?;
        let strategy = strategy.parse()?;
        let bad_pattern = |fault| BadStrategyRule::Pattern { text: pattern.into(), fault };
        let pattern = Pattern::parse(pattern).map_err(bad_pattern)?;
        Ok(Self { pattern, strategy })
    }
}

impl Strategy {
    /// All, in the order in which help lists them.
    pub const ALL: [Self; 6] =
        [Self::Manual, Self::KeepLocal, Self::KeepRemote, Self::AutoMerge, Self::Newer, Self::KeepBoth];
    /// The names of all.
    pub const NAMES: [&str; 6] = ["manual", "keep-local", "keep-remote", "auto-merge", "newer", "keep-both"];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::KeepLocal => "keep-local",
            Self::KeepRemote => "keep-remote",
            Self::AutoMerge => "auto-merge",
            Self::Newer => "newer",
            Self::KeepBoth => "keep-both",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Strategy {
    type Err = UnknownStrategy;

    /// Underscores, as JSON has them, are taken for hyphens.
    fn from_str(text: &str) -> Result<Self, UnknownStrategy> {
        let name = text.replace('_', "-");
        let found = Self::ALL.into_iter().find(|strategy| strategy.name() == name);
        found.ok_or_else(|| UnknownStrategy(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(rules: &[&str], path: &str, expected: Option<Strategy>) {
        let path = TreePath::new(path).expect("a path");
        assert_eq!(StrategyRules::parse(rules).expect("rules").strategy_of(&path), expected, "{path}");
    }

    fn check_refused(rule: &str, expected: Expect) {
        expected.assert_eq(&StrategyRules::parse([rule]).expect_err("no rule").to_string());
    }

    #[test]
    fn the_last_pattern_that_matches_decides() {
        let rules = ["*=newer", "*.md=auto-merge", "docs/old/=keep-local"];
        check(&rules, "a.txt", Some(Strategy::Newer));
        check(&rules, "docs/a.md", Some(Strategy::AutoMerge));
        check(&rules, "docs/old/x/a.md", Some(Strategy::KeepLocal));
        check(&rules, "docs/old", Some(Strategy::KeepLocal));
        check(&["/a=manual"], "b/a", None);
        check(&[], "a", None);
    }

    #[test]
    fn a_pattern_may_have_an_equals_sign() {
        check(&["a=b*=keep-both"], "a=bc", Some(Strategy::KeepBoth));
    }

    #[test]
    fn every_strategy_is_read_as_it_is_written() {
        assert_eq!(Strategy::ALL.map(Strategy::name), Strategy::NAMES);
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
            let in_json = serde_json::to_string(&strategy).expect("JSON");
            assert_eq!(in_json.trim_matches('"').parse(), Ok(strategy));
        }
    }

    #[test]
    fn what_is_no_rule_is_refused_with_the_way_out() {
        check_refused(
            "*.md",
            expect![[
                r#""*.md" has no =: write PATTERN=STRATEGY, such as *.md=auto-merge; strategies are manual, keep-local, keep-remote, auto-merge, newer, keep-both"#
            ]],
        );
        check_refused(
            "*.md=merge",
            expect![[
                r#""merge" is no strategy: use one of manual, keep-local, keep-remote, auto-merge, newer, keep-both"#
            ]],
        );
        check_refused("[a=newer", expect![[r#""[a" is no pattern: it has a [ that no ] closes"#]]);
    }
}
