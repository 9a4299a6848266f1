//! The process-wide choice of cryptography.

/// Installs the one crypto provider; harmless when called again. Without it rustls panics if two are compiled in.
pub fn install() {
    // An error means that it is installed already.
    let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
