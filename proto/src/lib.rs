//! The wire contract: generated messages and services, their canonical JSON, and the conversion to the domain.
//!
//! Owns everything that has a wire type in its signature. `core` never sees one; the rpc handlers, the worker's session,
//! the store codec and the client convert at the border through [`convert`].

pub mod convert;
pub mod wkt;

pub use generated::store::v1 as store_v1;
pub use generated::v1;

/// The encoded descriptor set of all files, comments included, for the reflection service.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// What the build script generates, nested as the packages are.
#[allow(clippy::all, clippy::pedantic, missing_docs, unreachable_pub, reason = "generated code")]
mod generated {
    pub mod v1 {
        tonic::include_proto!("dockmgr.v1");
        include!(concat!(env!("OUT_DIR"), "/dockmgr.v1.serde.rs"));
    }
    pub mod store {
        pub mod v1 {
            tonic::include_proto!("dockmgr.store.v1");
        }
    }
}
