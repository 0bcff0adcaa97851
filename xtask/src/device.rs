//! The demands of a device on the build: the Cargo feature with its backend, and the environment it is built and run in.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{Failure, Result, root};

/// The Cargo feature that holds the backend of `device`; nothing for the default one.
pub(crate) fn feature(device: &str) -> Result<Option<&'static str>> {
    let family = device.split(':').next().unwrap_or_default();
    match family {
        "flex" => Ok(None),
        "tch" => Ok(Some("tch")),
        "cuda" => Ok(Some("cuda")),
        "wgpu" => Ok(Some("wgpu")),
        "ndarray" => Ok(Some("ndarray")),
        _ => Err(Failure::new(format!(
            "unknown device `{device}`: expected flex, tch, tch:cuda:N, cuda:N, wgpu or ndarray"
        ))),
    }
}

/// Tells a command where libtorch is: `LIBTORCH` if it is set, else what `cargo xtask libtorch` made.
pub(crate) fn with_libtorch(command: &mut Command) -> Result<()> {
    let folder = match std::env::var_os("LIBTORCH") {
        Some(folder) => PathBuf::from(folder),
        None => root().join(".libtorch"),
    };
    let library = folder.join("lib/libtorch_cpu.so");
    if !library.exists() {
        return Err(Failure::new(format!(
            "{}: no such file, which device tch needs; run `cargo xtask libtorch`, or set LIBTORCH",
            library.display()
        )));
    }
    let mut search = folder.join("lib").into_os_string();
    if let Some(more) = std::env::var_os("LD_LIBRARY_PATH").filter(|more| !more.is_empty()) {
        search.push(":");
        search.push(more);
    }
    command.env("LIBTORCH", folder).env("LD_LIBRARY_PATH", search);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_names_its_feature() {
        for (device, expected) in [
            ("flex", None),
            ("tch", Some("tch")),
            ("tch:cuda:0", Some("tch")),
            ("cuda:1", Some("cuda")),
            ("wgpu", Some("wgpu")),
        ] {
            assert_eq!(feature(device), Ok(expected));
        }
        let failure = feature("tpu").expect_err("there is none");
        assert!(
            failure
                .message
                .is_some_and(|message| message.contains("`tpu`") && message.contains("wgpu"))
        );
    }
}
