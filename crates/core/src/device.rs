//! The one place that knows which backends this build contains.

use burn::tensor::Device;

use crate::error::{Error, Result};

/// Names accepted by [`parse_device`] in this build, for messages and `--help`.
///
/// An indexed family is shown with index 0.
pub fn available_devices() -> Vec<&'static str> {
    let mut names = Vec::new();
    if cfg!(feature = "flex") {
        names.push("flex");
    }
    if cfg!(feature = "tch") {
        names.extend(["tch", "tch:cuda:0", "tch:mps"]);
    }
    if cfg!(feature = "cuda") {
        names.push("cuda:0");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    if cfg!(feature = "ndarray") {
        names.push("ndarray");
    }
    names
}

/// The device called `name`: `flex`, `tch`, `tch:cuda:N`, `tch:mps`, `cuda:N`, `wgpu` or `ndarray`.
///
/// The device is the plain one; call [`Device::autodiff`] on it for training.
///
/// # Errors
/// [`Error::UnknownDevice`] when the name is not one of those, or its backend is not part of this build.
pub fn parse_device(name: &str) -> Result<Device> {
    let unknown = || Error::UnknownDevice {
        name: name.to_owned(),
        available: available_devices().join(", "),
    };
    let family = backend_of(name);
    let index = match &name[family.len()..] {
        "" => 0,
        number => number[1..].parse().map_err(|_| unknown())?,
    };
    build(family, index).ok_or_else(unknown)
}

/// Backend of the device called `name`, whichever of several it is: devices of one backend give the same bytes.
///
/// ```
/// assert_eq!(rlhf_core::backend_of("tch:cuda:1"), rlhf_core::backend_of("tch:cuda:0"));
/// assert_ne!(rlhf_core::backend_of("tch:cuda:0"), rlhf_core::backend_of("tch"));
/// ```
pub fn backend_of(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((family, number)) if number.chars().all(|c| c.is_ascii_digit()) => family,
        _ => name,
    }
}

/// True if the tensors of the device called `name` lie in the memory of the machine, and not in that of a graphics card.
pub fn is_cpu(name: &str) -> bool {
    matches!(name, "flex" | "tch" | "ndarray")
}

fn build(family: &str, index: usize) -> Option<Device> {
    let _ = index;
    match family {
        #[cfg(feature = "flex")]
        "flex" => Some(Device::flex()),
        #[cfg(feature = "tch")]
        "tch" | "tch:cuda" | "tch:mps" => Some(libtorch(family, index)),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::cuda(index)),
        #[cfg(feature = "wgpu")]
        "wgpu" => Some(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "ndarray")]
        "ndarray" => Some(ndarray()),
        _ => None,
    }
}

/// True if a device, tracked or not, is Flex: the CPU with kernels of our own.
pub(crate) fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    return matches!(
        device.clone().without_autodiff().as_dispatch(),
        burn::backend::DispatchDevice::Flex(_)
    );
    #[cfg(not(feature = "flex"))]
    {
        let _ = device;
        false
    }
}

#[cfg(feature = "tch")]
#[expect(
    deprecated,
    reason = "burn-tch is the only route to libtorch; this function alone names it"
)]
fn libtorch(family: &str, index: usize) -> Device {
    match family {
        "tch:cuda" => Device::libtorch_cuda(index),
        "tch:mps" => Device::libtorch_mps(),
        _ => Device::libtorch(),
    }
}

#[cfg(feature = "ndarray")]
#[expect(
    deprecated,
    reason = "kept as a second CPU backend to compare against; this function alone names it"
)]
fn ndarray() -> Device {
    Device::ndarray()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_names_the_ones_there_are() {
        let message = parse_device("gpu9").expect_err("no such device").to_string();
        assert!(message.contains("gpu9"), "{message}");
        for name in available_devices() {
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    #[cfg(feature = "flex")]
    fn flex_is_a_device() {
        assert!(parse_device("flex").is_ok());
    }
}
