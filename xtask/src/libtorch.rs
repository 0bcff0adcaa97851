//! `cargo xtask libtorch`: a folder with as much of libtorch as the `tch` backend needs on a CPU.
//!
//! PyPI has libtorch for x86-64 Linux only inside the CUDA build of torch. Of it the CPU library is taken, with the two
//! small CUDA libraries that it asks for, and a stub stands in for libtorch.so, which would drag in the rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{self, Failure, Result, root};

/// The version that tch 0.22 is made for.
const VERSION: &str = "2.9.0";
/// The CUDA libraries, in the versions that this torch asks for.
const CUDA_WHEELS: [&str; 2] = ["nvidia-cuda-cupti-cu12==12.8.90", "nvidia-cuda-runtime-cu12==12.8.90"];
const LIBRARIES: [&str; 5] = [
    "libtorch_cpu.so",
    "libc10.so",
    "libgomp.so.1",
    "libcupti.so.12",
    "libcudart.so.12",
];
/// Written last, with the version.
const MARK: &str = "complete";

/// Puts the named libraries of wheels into `lib`, and headers into `include`.
const UNPACK: &str = r#"
import pathlib, shutil, sys, zipfile
folder, libraries, wheels = pathlib.Path(sys.argv[1]), sys.argv[2].split(","), sys.argv[3:]
for wheel in wheels:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            parts = pathlib.PurePosixPath(name).parts
            if parts[-1] in libraries and parts[-2] == "lib":
                target = folder / "lib" / parts[-1]
            elif parts[:2] == ("torch", "include") and not name.endswith("/"):
                target = folder.joinpath(*parts[1:])
            else:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(name) as source, open(target, "wb") as out:
                shutil.copyfileobj(source, out)
"#;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Set it up again even if it is there
    #[arg(long)]
    force: bool,
    /// Python 3 with pip, which fetches the wheels
    #[arg(long, default_value = "python3")]
    python: String,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let folder = root().join(".libtorch");
    if !args.force && fs::read_to_string(folder.join(MARK)).is_ok_and(|version| version.trim() == VERSION) {
        eprintln!("{}: libtorch {VERSION} is there already", folder.display());
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(Failure::new(format!(
            "this sets libtorch up on x86-64 Linux only; install libtorch {VERSION} and set LIBTORCH to its folder"
        )));
    }
    remove(&folder)?;
    let download = folder.join("download");
    make(&download)?;
    make(&folder.join("lib"))?;
    fetch(&args.python, &download)?;
    unpack(&args.python, &download, &folder)?;
    stub(&folder.join("lib"))?;
    remove(&download)?;
    write(&folder.join(MARK), VERSION)?;
    eprintln!(
        "{}: libtorch {VERSION} is ready; try `cargo xtask test --device tch`",
        folder.display()
    );
    Ok(())
}

/// Downloads the wheels. The Python that runs pip need not be one that torch supports: only C++ is used.
fn fetch(python: &str, download: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary",
        ":all:",
    ]);
    command.args(["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312"]);
    for platform in ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"] {
        command.args(["--platform", platform]);
    }
    process::run(
        command
            .arg("--dest")
            .arg(download)
            .arg(format!("torch=={VERSION}"))
            .args(CUDA_WHEELS),
    )
}

fn unpack(python: &str, download: &Path, folder: &Path) -> Result<()> {
    eprintln!("unpacking headers and {}", LIBRARIES.join(", "));
    let wheels = wheels_in(download)?;
    let mut command = Command::new(python);
    command
        .args(["-c", UNPACK])
        .arg(folder)
        .arg(LIBRARIES.join(","))
        .args(wheels);
    process::run_quietly(&mut command)?;
    let missing: Vec<&str> = LIBRARIES
        .into_iter()
        .filter(|name| !folder.join("lib").join(name).exists())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(format!("the wheels do not hold {}", missing.join(", "))))
    }
}

/// A libtorch.so that brings in libtorch_cpu.so and nothing else.
fn stub(lib: &Path) -> Result<()> {
    let mut command = Command::new("cc");
    command
        .current_dir(lib)
        .args(["-shared", "-o", "libtorch.so", "-Wl,-soname,libtorch.so"]);
    process::run(command.args(["-Wl,--no-as-needed", "-L.", "-ltorch_cpu", "-x", "c", "/dev/null"]))
}

fn wheels_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| failed("read", folder, &error))?;
    let mut wheels: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    wheels.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheels.sort();
    Ok(wheels)
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|error| failed("make", folder, &error))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| failed("write", path, &error))
}

fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| failed("remove", folder, &error))
    } else {
        Ok(())
    }
}

fn failed(action: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{}: cannot {action}: {error}", path.display()))
}
