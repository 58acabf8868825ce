//! x
use allocation_counter as _;
