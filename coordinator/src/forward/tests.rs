//! Calls through a coordinator that does not lead.
