//! Generates the message and service types, their canonical JSON and the descriptor set, without protoc.

use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const FILES: [&str; 10] = [
    "dockmgr/v1/common.proto",
    "dockmgr/v1/spec.proto",
    "dockmgr/v1/job.proto",
    "dockmgr/v1/job_service.proto",
    "dockmgr/v1/log_service.proto",
    "dockmgr/v1/node_service.proto",
    "dockmgr/v1/event_service.proto",
    "dockmgr/v1/cluster_service.proto",
    "dockmgr/v1/worker_service.proto",
    "dockmgr/store/v1/store.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=dockmgr");
    let descriptors = protox::Compiler::new(["."])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)?
        .file_descriptor_set();
    let encoded = descriptors.encode_to_vec();
    fs::write(out.join("descriptors.bin"), &encoded)?;
    tonic_prost_build::configure()
        .bytes(".dockmgr.v1.LogRecord")
        .bytes(".dockmgr.v1.UploadChunk")
        .bytes(".dockmgr.v1.GetLogsResponse")
        .bytes(".dockmgr.v1.SearchLine")
        .btree_map(".")
        .compile_well_known_types(true)
        .extern_path(".google.protobuf.Timestamp", "crate::wkt::Timestamp")
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&encoded)?
        .btree_map([".dockmgr.v1"])
        .emit_fields()
        .build(&[".dockmgr.v1"])?;
    Ok(())
}
