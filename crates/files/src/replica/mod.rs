//! A folder as a replica: one side of a pair that is kept the same.

#[cfg_attr(not(test), expect(dead_code, reason = "nothing applies a plan yet"))]
mod delta;
