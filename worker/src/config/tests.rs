use super::*;

fn flags() -> Flags {
    Flags { name: Some("n".into()), ..Flags::default() }
}

fn with_file(text: &str, flags: Flags) -> Result<Config, Error> {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("worker.toml");
    std::fs::write(&path, text).expect("writes");
    Config::new(Flags { config: Some(path), ..flags })
}

#[test]
fn a_flag_is_stronger_than_the_file_and_the_file_than_the_default() {
    let config = with_file("cpus = 2.5\nmemory = '1GiB'\n", Flags { cpus: Some(0.25), ..flags() });
    let config = config.expect("valid");
    assert_eq!(config.capacity.cpu_millis, Some(250));
    assert_eq!(config.capacity.memory, Some(1 << 30));
    assert_eq!(config.data, PathBuf::from(DEFAULT_DATA));
    let limits = with_file("[images]\nkeep_for = '2h'\nbudget = '1.5GiB'\n", flags()).expect("valid").images;
    assert_eq!(limits, Limits { keep_for: std::time::Duration::from_secs(7200), budget: 3 << 29 });
}

#[test]
fn wrong_files_are_refused_with_the_place() {
    for bad in
        ["cpu = 1", "cpus = 'x'", "[images]\nkeep = 1", "coordinator = []", "cpus = 1\ncpus = 2", "= 1"]
    {
        assert!(with_file(bad, flags()).is_err(), "{bad:?} must be refused");
    }
    let missing = Flags { config: Some("/nowhere/at/all".into()), ..flags() };
    assert!(matches!(Config::new(missing), Err(Error::Read { .. })));
    let folder = Flags { config: Some(std::env::temp_dir()), ..flags() };
    assert!(matches!(Config::new(folder), Err(Error::File { .. })));
}

#[test]
fn senseless_values_are_refused_by_name() {
    let cases: Vec<(&str, Flags)> = vec![
        ("cpus", Flags { cpus: Some(0.0), ..flags() }),
        ("cpus", Flags { cpus: Some(f64::NAN), ..flags() }),
        ("cpus", Flags { cpus: Some(f64::INFINITY), ..flags() }),
        ("memory", Flags { memory: Some("0".into()), ..flags() }),
        ("memory", Flags { memory: Some("99999999999g".into()), ..flags() }),
        ("memory", Flags { memory: Some("-1g".into()), ..flags() }),
        ("memory", Flags { memory: Some("1GiBB".into()), ..flags() }),
        ("memory", Flags { memory: Some(String::new()), ..flags() }),
        ("name", Flags { name: Some("../x".into()), ..flags() }),
        ("name", Flags { name: Some(String::new()), ..flags() }),
        ("label", Flags { label: vec!["x".into()], ..flags() }),
        ("label", Flags { label: vec!["dockmgr.x=y".into()], ..flags() }),
        ("coordinator", Flags { coordinator: vec!["nonsense".into()], ..flags() }),
        ("allow-mount", Flags { allow_mount: vec!["relative".into()], ..flags() }),
        ("log-format", Flags { log_format: Some("xml".into()), ..flags() }),
        ("token-file", Flags { token_file: Some("/dev/zero".into()), ..flags() }),
    ];
    for (expected, flags) in cases {
        match Config::new(flags) {
            Err(Error::Value { name, .. }) => assert_eq!(name, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
}
