//! V1 REST and TF-Serving REST.
