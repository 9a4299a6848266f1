//! How etcd is reached, who the coordinator is to it, and what it is told to forget.

use std::path::PathBuf;

use dockmgr_support::secret;

use super::file::File;
use super::{Args, Error, setting, timing};
use crate::store::{EtcdConfig, EtcdUser, TlsFiles};

/// Longest password that is read: etcd hashes no more of it.
const MAX_PASSWORD_BYTES: usize = 72;

/// Adds what flags and file say to the usual settings.
pub(super) fn checked(args: &mut Args, file: &mut File, mut etcd: EtcdConfig) -> Result<EtcdConfig, Error> {
    if let Some(prefix) = args.etcd_prefix.take().or(file.etcd_prefix.take()) {
        etcd.prefix = prefix;
    }
    etcd.tls = tls(
        args.etcd_ca.take().or(file.etcd_ca.take()),
        args.etcd_cert.take().or(file.etcd_cert.take()),
        args.etcd_key.take().or(file.etcd_key.take()),
    )?;
    etcd.user = user(
        args.etcd_user.take().or(file.etcd_user.take()),
        args.etcd_password_file.take().or(file.etcd_password_file.take()),
    )?;
    etcd.compaction = timing::compaction(
        args.etcd_compact_every.take().or(file.etcd_compact_every.take()),
        args.etcd_keep_revisions.or(file.etcd_keep_revisions),
    )?;
    Ok(etcd)
}

/// Reads the password; both settings belong together.
fn user(name: Option<String>, file: Option<PathBuf>) -> Result<Option<EtcdUser>, Error> {
    let (name, path) = match (name, file) {
        (Some(name), Some(path)) => (name, path),
        (None, None) => return Ok(None),
        (Some(_), None) => return Err(setting("--etcd-user", "needs --etcd-password-file")),
        (None, Some(_)) => return Err(setting("--etcd-password-file", "needs --etcd-user")),
    };
    if secret::is_world_readable(&path) == Some(true) {
        let problem = format!("'{}' can be read by all users: chmod 600 it", path.display());
        return Err(setting("--etcd-password-file", problem));
    }
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Read {
        what: "password file",
        path,
        source,
    })?;
    let password = text.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() || password.len() > MAX_PASSWORD_BYTES || password.contains('\n') {
        let problem = format!("must hold one line of 1 to {MAX_PASSWORD_BYTES} bytes");
        return Err(setting("--etcd-password-file", problem));
    }
    Ok(Some(EtcdUser { name, password }))
}

fn tls(ca: Option<PathBuf>, cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, Error> {
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => {
            return Err(setting(
                "--etcd-cert",
                "a certificate and its key belong together: give both or none",
            ));
        }
    };
    match (ca, identity) {
        (Some(ca), identity) => Ok(Some(TlsFiles { ca, identity })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(setting("--etcd-cert", "needs --etcd-ca")),
    }
}
