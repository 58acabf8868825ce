//! Getting on with the build of long ago: what it wrote can be read, what it began can be ended, and each fetches from the other.
//! `golden` needs no old binary: it reads what one has left in `tests/fixtures/old`. `living` runs one, and says NOT RUN where there
//! is none: `SWARM_OLD_BINARY` names it, `SWARM_LONG_TESTS=1` builds it from the history, `SWARM_COMPAT_TESTS=required` makes
//! a missing one a failure.
#![cfg(unix)]

mod golden;
mod living;
mod node;
