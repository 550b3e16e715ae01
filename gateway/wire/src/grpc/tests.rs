//! Cases and properties of the conversions, by direction.

mod about;
