//! JSON over HTTP: the calls, the streams, who is refused, that its own description is true; and the page in a real browser.

mod calls;
mod contract;
mod door;
mod output;
mod page;
mod picked;
mod streams;
mod taken;
mod used;
mod ways;
