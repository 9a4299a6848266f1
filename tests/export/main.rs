//! Output that is shipped to other systems is there whole and once, whatever was killed meanwhile.

mod elastic;
mod file;
mod held;
mod loki;
mod otlp;
