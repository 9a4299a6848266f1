//! What bad input gets from a running cluster, on every way in: the API, the raw wire, the command line, the terminal, settings.

mod command_rows;
mod pipes;
mod request_rows;
mod settings_rows;
mod spec_rows;
mod terminal;
mod top;
mod wire_rows;
