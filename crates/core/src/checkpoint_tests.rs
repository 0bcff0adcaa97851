use super::*;
use crate::batch::float_tensor;
use crate::hash::fingerprint;
use crate::tensor_file::TensorSource;
use burn::tensor::Device;
use serde_json::json;
use tempfile::TempDir;

fn tensor(name: &str, shape: &[usize], values: &[f32]) -> DeviceTensor {
    DeviceTensor {
        name: name.into(),
        shape: shape.into(),
        values: float_tensor(values, &Device::flex()),
    }
}

struct Case {
    dir: TempDir,
    store: CheckpointStore,
    fingerprint: Fingerprint,
}

impl Case {
    fn new(keep: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = CheckpointStore::open(dir.path().join("checkpoints"), keep).unwrap();
        Self {
            dir,
            store,
            fingerprint: fingerprint(&json!({"ppo": {"kl_coef": 0.05}, "seed": 1})).unwrap(),
        }
    }

    fn begin(&self, step: u64) -> CheckpointWriter<'_> {
        let mut writer = self.store.begin(step).unwrap();
        writer.add_json("state", &json!({"step": step})).unwrap();
        let weight = tensor("w", &[2, 2], &[1.0, -0.0, f32::MIN_POSITIVE, 0.1]);
        let bias = tensor("b", &[], &[step as f32]);
        writer.add_tensors("policy", vec![weight, bias]).unwrap();
        writer.add_json("rollout", &[1, 2, 3]).unwrap();
        writer
    }

    fn save(&self, step: u64) {
        self.begin(step).commit(&self.fingerprint).unwrap();
    }

    fn latest_step(&self) -> Option<u64> {
        self.store
            .latest(&self.fingerprint)
            .unwrap()
            .map(|checkpoint| checkpoint.step())
    }

    fn files(&self, step: u64) -> Vec<PathBuf> {
        fs::read_dir(self.store.path_of(step))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect()
    }
}

#[test]
fn what_was_written_is_read_bit_for_bit() {
    let case = Case::new(2);
    assert!(case.store.latest(&case.fingerprint).unwrap().is_none());
    case.save(7);
    let checkpoint = case.store.latest(&case.fingerprint).unwrap().unwrap();
    assert_eq!(checkpoint.step(), 7);
    assert_eq!(checkpoint.json::<Value>("state").unwrap(), json!({"step": 7}));
    assert_eq!(checkpoint.json::<[u8; 3]>("rollout").unwrap(), [1, 2, 3]);
    let mut tensors = checkpoint.tensors("policy").unwrap();
    let values = tensors.take("w", &[2, 2]).unwrap();
    let bits: Vec<u32> = values.iter().map(|x| x.to_bits()).collect();
    assert_eq!(bits, [1.0, -0.0, f32::MIN_POSITIVE, 0.1].map(f32::to_bits));
    assert_eq!(tensors.take("b", &[]).unwrap(), [7.0]);
    let refused = |result: Result<Vec<f32>>| result.unwrap_err().to_string();
    assert_eq!(
        refused(tensors.take("w", &[4])),
        "tensor `w` has shape [2, 2], expected [4]"
    );
    assert_eq!(
        refused(tensors.take("v", &[4])),
        "tensor `v` is missing, expected shape [4]"
    );
    let error = checkpoint.json::<Value>("policy").unwrap_err().to_string();
    assert!(
        error.contains("no part named `policy.json`; it has policy.safetensors"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_with_any_file_cut_short_or_missing_is_passed_over() {
    for file in ["manifest.json", "policy.safetensors", "rollout.json", "state.json"] {
        let case = Case::new(3);
        case.save(1);
        case.save(2);
        let path = case.store.path_of(2).join(file);
        let bytes = fs::read(&path).unwrap();
        for keep in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            fs::write(&path, &bytes[..keep]).unwrap();
            assert_eq!(case.latest_step(), Some(1), "{file} cut to {keep} bytes");
        }
        if file != MANIFEST {
            let said = verify(&case.store.path_of(2), 2).unwrap_err().to_string();
            let lengths = format!("{} bytes long, {} were written", bytes.len() - 1, bytes.len());
            assert!(said.ends_with(&format!("{file}: damaged: {lengths}")), "{said}");
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(case.latest_step(), Some(1), "{file} removed");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(case.latest_step(), Some(2), "{file} put back");
    }
}

#[test]
fn a_flipped_bit_is_noticed_in_every_file() {
    let case = Case::new(3);
    case.save(1);
    case.save(2);
    for path in case.files(2) {
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(5) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            assert_eq!(case.latest_step(), Some(1), "{} byte {at}", path.display());
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(case.latest_step(), Some(2));
}

#[test]
fn a_process_killed_while_writing_leaves_the_older_checkpoint_and_no_rubbish() {
    let case = Case::new(3);
    case.save(1);
    let writer = case.begin(2);
    let temporary = writer.pending.path().to_path_buf();
    std::mem::forget(writer); // as a kill would: no destructor runs
    assert!(temporary.exists());
    assert_eq!(case.latest_step(), Some(1));
    let store = CheckpointStore::open(case.dir.path().join("checkpoints"), 3).unwrap();
    assert!(!temporary.exists(), "the next start cleans up");
    assert_eq!(store.steps().unwrap(), [1]);
}

#[test]
fn a_writer_that_is_dropped_leaves_nothing() {
    let case = Case::new(3);
    drop(case.begin(1));
    assert_eq!(fs::read_dir(case.dir.path().join("checkpoints")).unwrap().count(), 0);
}

#[test]
fn a_checkpoint_of_another_configuration_is_refused_by_field() {
    let case = Case::new(3);
    case.save(1);
    let other = fingerprint(&json!({"ppo": {"kl_coef": 0.2}, "seed": 1})).unwrap();
    let error = case.store.latest(&other).unwrap_err();
    assert!(
        matches!(&error, Error::OtherConfig { field, .. } if field == "ppo.kl_coef"),
        "{error}"
    );
    let said = error.to_string();
    assert!(
        said.ends_with("made with another configuration: `ppo.kl_coef` is 0.2 now but was 0.05 then"),
        "{said}"
    );
}

#[test]
fn a_checkpoint_of_another_format_version_is_an_error_and_not_damage() {
    let case = Case::new(3);
    case.save(1);
    let path = case.store.path_of(1).join(MANIFEST);
    let mut sealed: Sealed = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    sealed.manifest["format"] = json!(2);
    sealed.sha256 = bytes_sha256(sealed.manifest.to_string().as_bytes());
    fs::write(&path, serde_json::to_vec(&sealed).unwrap()).unwrap();
    let error = case.store.latest(&case.fingerprint).unwrap_err();
    assert!(
        matches!(
            error,
            Error::FormatVersion {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn only_the_newest_are_kept_and_a_damaged_later_one_goes() {
    let case = Case::new(2);
    for step in [10, 20, 30] {
        case.save(step);
    }
    assert_eq!(case.store.steps().unwrap(), [20, 30]);
    fs::write(case.store.path_of(30).join("state.json"), "").unwrap();
    assert_eq!(case.latest_step(), Some(20));
    case.save(25);
    assert_eq!(case.store.steps().unwrap(), [20, 25]);
}

#[test]
fn the_checkpoint_of_a_step_can_be_written_again() {
    let case = Case::new(2);
    case.save(5);
    fs::write(case.store.path_of(5).join("state.json"), "").unwrap();
    case.save(5);
    assert_eq!(case.latest_step(), Some(5));
}

#[test]
fn names_that_are_no_file_names_or_taken_are_refused() {
    let case = Case::new(2);
    let mut writer = case.begin(1);
    for name in ["", "a/b", "..", ".hidden", "rollout"] {
        let error = writer.add_json(name, &1).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}: {error}");
    }
    assert!(matches!(writer.add_json("manifest", &1), Err(Error::BadName { .. })));
}
