//! The registry from outside: a fuzz target for each kind of file that it reads.

mod fuzz;
