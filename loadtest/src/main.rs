//! Load and floor measurements for V2 servers.

fn main() {}
