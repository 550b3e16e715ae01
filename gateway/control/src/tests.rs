//! The decisions of the control path: named cases, and properties over random histories.

mod cases;
mod histories;
mod plans;
mod wishes;
mod world;
