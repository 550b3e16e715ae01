//! V2 REST.
