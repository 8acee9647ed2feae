//! How runs end: exit codes, hostile files and text, full disks, closed pipes, signals.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::made::{Made, make_recording_of};
use super::{PASSPHRASE, keygen, text, tool, well, with_recording};

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealed-visit"));
    command
        .env("SEALED_VISIT_PASSPHRASE", PASSPHRASE)
        .env_remove("SEALED_VISIT_ROOT")
        .stdin(Stdio::null());
    command
}

/// Text output: exit code, standard output, standard error.
fn plain(arguments: &[&str]) -> (i32, String, String) {
    let output = command().args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn open<'a>(made: &'a Made, key: &'a Path, out: &'a Path) -> Vec<&'a str> {
    vec![
        "open",
        text(&made.folder),
        "--root",
        &made.root,
        "--key",
        text(key),
        "--out",
        text(out),
    ]
}

fn init(folder: &Path, more: &[&str]) -> (i32, Value) {
    let arguments = [
        "clinic",
        "init",
        text(folder),
        "--contact",
        "records@clinic.example",
    ];
    tool(arguments.iter().chain(more))
}

/// A clinic's folder with a signed document.
fn clinic(temp: &TempDir) -> PathBuf {
    let folder = temp.path().join("clinic");
    let key = |seed: u8| {
        let public = sealed_visit_protocol::SigningKey::from_seed(&[seed; 32]).public();
        serde_json::to_string(&public).unwrap()
    };
    let (authority, vault) = (key(2), key(3));
    let (code, json) = init(
        &folder,
        &[
            "--name",
            "A clinic",
            "--authority",
            &authority,
            "--vault",
            &vault,
        ],
    );
    assert_eq!(code, 0, "{json}");
    folder
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// Runs the tool in a shell that lets no file grow, as a full disk would.
fn on_a_full_disk(arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(env!("CARGO_BIN_EXE_sealed-visit"))
        .args(arguments)
        .env("SEALED_VISIT_PASSPHRASE", PASSPHRASE)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn wrong_arguments_are_told_apart_from_every_failure() {
    assert_eq!(plain(&["verify"]).0, 2);
    let (code, json) = tool(["open", "somewhere"]);
    assert_eq!((code, &json["code"]), (2, &"usage".into()));
    let (code, help, _) = plain(&["--help"]);
    assert_eq!(code, 0);
    assert!(help.contains("130  interrupted"), "{help}");
}

#[test]
fn missing_and_unreadable_files_are_named() {
    let temp = tempfile::tempdir().unwrap();
    let absent = temp.path().join("absent.jwe");
    let (code, json) = tool(["fingerprint", text(&absent)]);
    assert_eq!((code, &json["code"]), (6, &"unreadable".into()));
    assert!(json["error"].as_str().unwrap().contains("absent.jwe"));
    assert!(json["next"].is_string());
    let large = temp.path().join("large.jwe");
    fs::write(&large, vec![b'x'; 100_000]).unwrap();
    let (code, json) = tool(["fingerprint", text(&large)]);
    assert_eq!(code, 6);
    assert!(
        json["error"].as_str().unwrap().contains("more than"),
        "{json}"
    );
}

#[cfg(unix)]
#[test]
fn a_fifo_a_device_a_folder_or_a_link_to_itself_is_refused_by_name_and_hangs_nothing() {
    let (temp, keys, made) = with_recording();
    let fifo = temp.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let circle = temp.path().join("circle");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    let folder = temp.path().join("folder");
    fs::create_dir(&folder).unwrap();
    for odd in [&fifo, &circle, &folder, Path::new("/dev/zero")] {
        let name = text(odd);
        for arguments in [
            vec!["fingerprint", name],
            vec!["fingerprint", text(&keys[0]), "--passphrase-file", name],
            vec!["verify", text(&made.folder), "--root", name],
            vec![
                "verify",
                text(&made.folder),
                "--root",
                &made.root,
                "--clinic",
                name,
            ],
        ] {
            let (code, json) = tool(&arguments);
            assert_eq!(code, 6, "{arguments:?} {json}");
            assert!(json["error"].as_str().unwrap().contains(name), "{json}");
        }
        if *odd != *folder {
            assert_eq!(tool(["inspect", name]).0, 6);
        }
    }
    // In the places where a recording has its own files.
    let file = made.folder.join(format!("{}.track", made.tracks[0]));
    for name in [
        file,
        made.folder.join("recording.json"),
        made.folder.join("clinic.jws"),
    ] {
        let kept = fs::read(&name).unwrap();
        fs::remove_file(&name).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&name)
                .status()
                .unwrap()
                .success()
        );
        for arguments in [
            vec!["verify", text(&made.folder), "--root", &made.root],
            open(&made, &keys[0], &temp.path().join("out")),
        ] {
            let (code, json) = tool(&arguments);
            assert_eq!(code, 6, "{json}");
            assert!(json["error"].as_str().unwrap().contains("FIFO"), "{json}");
        }
        fs::remove_file(&name).unwrap();
        fs::write(&name, kept).unwrap();
    }
}

#[test]
fn no_text_of_a_file_reaches_the_terminal_as_control_characters() {
    let temp = tempfile::tempdir().unwrap();
    let hostile = "\u{1b}]0;owned\u{7}\u{9b}2J\r\u{202e}\u{200b}\u{2028}\u{7f}";
    let quiet = |text: &str| {
        text.chars()
            .all(|c| c == '\n' || !(c.is_control() || "\u{202e}\u{200b}\u{2028}".contains(c)))
    };
    // As content, as a file's name, and in what an error quotes.
    let json = temp
        .path()
        .join(format!("{}.json", hostile.replace('\u{2028}', "")));
    fs::write(
        &json,
        serde_json::json!({ "says": hostile, hostile: 1 }).to_string(),
    )
    .unwrap();
    let broken = temp.path().join("\u{1b}[2Jbroken");
    fs::write(&broken, hostile).unwrap();
    let protected = temp.path().join("other.jwe");
    let header = serde_json::json!({
        "alg": "PBES2-HS512+A256KW", "enc": "A256GCM", "cty": hostile, "p2s": "AAAAAAAAAAAAAAAA", "p2c": 1000
    });
    let header = sealed_visit_protocol::bytes::to_base64url(header.to_string().as_bytes());
    fs::write(&protected, format!("{header}.a.b.c.d")).unwrap();
    for file in [&json, &broken, &protected] {
        for command in ["inspect", "fingerprint"] {
            for json in [None, Some("--json")] {
                let arguments: Vec<&str> = json.into_iter().chain([command, text(file)]).collect();
                let (_, stdout, stderr) = plain(&arguments);
                assert!(!(stdout + &stderr).is_empty());
                let (_, stdout, stderr) = plain(&arguments);
                assert!(quiet(&stdout) && quiet(&stderr), "{stdout:?} {stderr:?}");
            }
        }
    }
    // Signed, by a recorder that means harm.
    let keys = keygen(temp.path());
    let folder = temp.path().join("recording");
    let made = make_recording_of(&folder, &keys, &format!("video/webm;{hostile}"));
    let out = temp.path().join("out");
    for arguments in [
        vec!["inspect", text(&made.folder)],
        vec!["verify", text(&made.folder), "--root", &made.root],
        open(&made, &keys[1], &out),
        [open(&made, &keys[1], &out), vec!["--json", "--force"]].concat(),
    ] {
        let (code, stdout, stderr) = plain(&arguments);
        assert_eq!(code, 0, "{stderr}");
        assert!(quiet(&stdout) && quiet(&stderr), "{stdout:?} {stderr:?}");
        assert!(stdout.contains("]0;owned"), "{stdout}");
    }
    let (_, line) = tool(["inspect", text(&json)]);
    assert_eq!(
        line["says"]["content"]["says"], hostile,
        "escaped, not lost"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_pipe_ends_the_output_quietly_and_a_full_disk_is_told() {
    let (_temp, _, made) = with_recording();
    for json in [true, false] {
        let run = |stdout: Stdio| {
            let mut command = command();
            if json {
                command.arg("--json");
            }
            let arguments = ["verify", text(&made.folder), "--root", &made.root];
            command.args(arguments).stdout(stdout).output().unwrap()
        };
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = run(writer.into());
        assert_eq!(output.status.code(), Some(0), "the verdict stands");
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );

        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let output = run(full.into());
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("standard output") && !told.contains("panicked"),
            "{told}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn media_into_a_closed_pipe_or_a_full_disk_is_no_success() {
    let (_temp, keys, made) = with_recording();
    let arguments = open(&made, &keys[1], Path::new("-"));
    let run = |stdout: Stdio| {
        let mut command = command();
        command.args(&arguments).args(["--track", &made.tracks[0]]);
        command.stdout(stdout).output().unwrap()
    };
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(run(writer.into()).status.code(), Some(130));
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    assert_eq!(run(full.into()).status.code(), Some(1));
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_file_and_does_not_block_the_next_attempt() {
    let (temp, keys, made) = with_recording();
    let folder = temp.path().join("new");
    fs::create_dir(&folder).unwrap();
    let key = folder.join("key.jwe");
    let output = on_a_full_disk(&["keygen", text(&key)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("key.jwe"));
    assert_eq!(names(&folder), [""; 0]);
    well(["keygen", text(&key)]);

    let clinic = temp.path().join("clinic");
    let arguments = [
        "clinic",
        "init",
        text(&clinic),
        "--name",
        "x",
        "--contact",
        "y",
    ];
    assert_eq!(on_a_full_disk(&arguments).status.code(), Some(1));
    assert_eq!(names(&clinic), [""; 0]);
    well(arguments);
    let before = fs::read(clinic.join("clinic.json")).unwrap();
    let public = format!("{}.pub.json", keys[0].display());
    let add = [
        "clinic",
        "add-recipient",
        text(&clinic),
        &public,
        "--role",
        "archive",
    ];
    assert_eq!(on_a_full_disk(&add).status.code(), Some(1));
    assert_eq!(fs::read(clinic.join("clinic.json")).unwrap(), before);

    let out = temp.path().join("out");
    let arguments = open(&made, &keys[1], &out);
    let output = on_a_full_disk(&arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("run the same command again"));
    assert_eq!(names(&out), [""; 0], "no plaintext stays behind");
    well(arguments);
}

/// A track that is a FIFO would be refused, so the run is held up where it writes: standard output that nobody reads.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_run_says_so_and_leaves_nothing_partial() {
    let (_temp, keys, made) = with_recording();
    for signal in ["INT", "TERM"] {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        // The pipe is full, so the tool waits in its first write.
        fill(&mut writer);
        let child = command()
            .args(open(&made, &keys[1], Path::new("-")))
            .args(["--track", &made.tracks[0]])
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_until_handled(child.id());
        let kill = ["-s", signal, &child.id().to_string()];
        assert!(Command::new("kill").args(kill).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains("interrupted") && told.contains("again"),
            "{told}"
        );
        let _ = reader.read(&mut [0; 1]);
    }
}

/// The result cannot be printed while nobody reads, and by then every file is in place.
#[cfg(target_os = "linux")]
#[test]
fn a_run_interrupted_at_its_end_names_the_files_that_are_complete() {
    let (temp, keys, made) = with_recording();
    let out = temp.path().join("out");
    let (_reader, mut writer) = std::io::pipe().unwrap();
    fill(&mut writer);
    let mut child = command()
        .args(open(&made, &keys[1], &out))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // From its first name to its last, a signal waits.
    while !out.join("part-0-mixed.webm").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let kill = ["-s", "INT", &child.id().to_string()];
    assert!(Command::new("kill").args(kill).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("part-1-events.jsonl") && told.contains("Nothing partial"),
        "{told}"
    );
    assert_eq!(names(&out).len(), 4);
}

#[cfg(target_os = "linux")]
fn fill(writer: &mut std::io::PipeWriter) {
    // Linux gives a pipe 64 KiB, macOS at most as many.
    writer.write_all(&[0; 65_536]).unwrap();
}

/// Until the program has set up its signals: its mask of caught ones has SIGINT.
#[cfg(target_os = "linux")]
fn wait_until_handled(process: u32) {
    loop {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        if caught.is_some_and(|mask| mask & 0b10 != 0 && mask & (1 << 14) != 0) {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_partial_file_of_a_killed_run_is_removed_and_other_files_are_not() {
    let (temp, keys, made) = with_recording();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    let left = out.join("part-0-mixed.webm.0a1b2c3d.partial");
    fs::write(&left, "plaintext").unwrap();
    for kept in ["notes.partial", "x.12345678.partial.txt"] {
        fs::write(out.join(kept), "mine").unwrap();
    }
    // One that another run still writes is locked.
    let writing = out.join("part-1-mixed.webm.0a1b2c3d.partial");
    let lock = fs::File::create(&writing).unwrap();
    lock.lock().unwrap();
    well(open(&made, &keys[1], &out));
    assert!(!left.exists());
    assert!(writing.exists());
    fs::remove_file(&writing).unwrap();
    let names = names(&out);
    assert_eq!(
        names
            .iter()
            .filter(|name| name.contains(".partial"))
            .count(),
        2
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(out.join("part-0-mixed.webm"))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}

#[test]
fn a_file_that_exists_is_refused_before_any_other_is_written() {
    let (temp, keys, made) = with_recording();
    let out = temp.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("part-1-events.jsonl"), "mine").unwrap();
    let (code, json) = tool(open(&made, &keys[1], &out));
    assert_eq!(code, 8);
    assert!(json["next"].as_str().unwrap().contains("--force"), "{json}");
    assert_eq!(names(&out), ["part-1-events.jsonl"]);
    assert_eq!(fs::read(out.join("part-1-events.jsonl")).unwrap(), b"mine");
}

#[test]
fn every_bad_clinic_document_says_what_is_wrong_with_it() {
    let (_temp, _, made) = with_recording();
    let path = made.folder.join("clinic.jws");
    let good = fs::read_to_string(&path).unwrap();
    let open =
        serde_json::from_slice::<Value>(&fs::read(made.folder.join("recording.json")).unwrap())
            .unwrap()["parts"][0]["open"]
            .as_str()
            .unwrap()
            .to_owned();
    let parts: Vec<&str> = good.trim().split('.').collect();
    let decode = |part: &str| {
        let bytes = sealed_visit_protocol::bytes::from_base64url(part).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    };
    let altered = |member: &str, value: Value| {
        let mut claims = decode(parts[1]);
        claims[member] = value;
        let claims = sealed_visit_protocol::bytes::to_base64url(claims.to_string().as_bytes());
        format!("{}.{claims}.{}", parts[0], parts[2])
    };
    for (document, code, said) in [
        (
            "not a document".to_owned(),
            6,
            "not a valid clinic document",
        ),
        (
            good[..good.len() / 2].to_owned(),
            6,
            "not a valid clinic document",
        ),
        (open, 6, "not a clinic document"),
        (altered("v", 9.into()), 6, "later version"),
        (
            altered("name", "Another clinic".into()),
            4,
            "altered after it was signed",
        ),
    ] {
        fs::write(&path, &document).unwrap();
        let (got, json) = tool(["verify", text(&made.folder), "--root", &made.root]);
        let error = json["error"].as_str().unwrap();
        assert_eq!(got, code, "{json}");
        assert!(
            error.contains(said) && error.contains("clinic.jws"),
            "{json}"
        );
    }
    fs::write(&path, &good).unwrap();
    let other = sealed_visit_protocol::SigningKey::from_seed(&[99; 32]).public();
    let other = serde_json::to_string(&other).unwrap();
    let (code, json) = tool(["verify", text(&made.folder), "--root", &other]);
    assert_eq!(code, 4);
    assert!(
        json["error"]
            .as_str()
            .unwrap()
            .contains("signed by another key"),
        "{json}"
    );
}

#[test]
fn a_clinic_documents_number_never_goes_back_unasked() {
    let temp = tempfile::tempdir().unwrap();
    let folder = clinic(&temp);
    let backup = fs::read(folder.join("clinic.json")).unwrap();
    for number in 2..=3 {
        assert_eq!(well(["clinic", "sign", text(&folder)])["number"], number);
    }
    fs::write(folder.join("clinic.json"), &backup).unwrap();
    let signed = fs::read(folder.join("clinic.jws")).unwrap();
    let (code, json) = tool(["clinic", "sign", text(&folder)]);
    assert_eq!(code, 8);
    assert!(
        json["next"].as_str().unwrap().contains("--number 4"),
        "{json}"
    );
    // The note beside the root key remembers, whether or not the document is there.
    fs::remove_file(folder.join("clinic.jws")).unwrap();
    assert_eq!(tool(["clinic", "sign", text(&folder)]).0, 8);
    // And the document, where an earlier version made no note.
    fs::write(folder.join("clinic.jws"), &signed).unwrap();
    fs::remove_file(folder.join("root.number")).unwrap();
    assert_eq!(tool(["clinic", "sign", text(&folder)]).0, 8);

    let (code, _, warning) = plain(&["clinic", "sign", text(&folder), "--allow-number-reuse"]);
    assert_eq!(code, 0);
    assert!(
        warning.contains("warning: document 2 is not newer than document 3"),
        "{warning}"
    );
    assert_eq!(
        tool(["clinic", "sign", text(&folder)]).0,
        8,
        "3 was signed before"
    );
    let signed = well(["clinic", "sign", text(&folder), "--number", "4"]);
    assert_eq!(signed["number"], 4);
}

#[test]
fn a_clinic_needs_a_name_that_is_what_it_looks_like_and_a_sensible_validity() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("clinic");
    for name in [
        "",
        "   ",
        " A clinic",
        "A\u{202e}clinic",
        "A\nclinic",
        "A\u{1b}[2Jclinic",
    ] {
        let (code, json) = init(&folder, &["--name", name]);
        assert_eq!((code, &json["code"]), (8, &"refused".into()), "{name:?}");
    }
    let long = "x".repeat(201);
    assert_eq!(init(&folder, &["--name", &long]).0, 8);
    for days in ["0", "3651", "18446744073709551615", "-1"] {
        let validity = format!("--valid-days={days}");
        assert_eq!(
            init(&folder, &["--name", "A clinic", &validity]).0,
            2,
            "{days}"
        );
    }
    assert!(!folder.exists(), "nothing is left of a refused attempt");
    assert_eq!(init(&folder, &["--name", "Zoë's clinic 한글"]).0, 0);
}

#[test]
fn one_person_types_the_same_passphrase_in_every_encoding() {
    let temp = tempfile::tempdir().unwrap();
    let composed = "r\u{e9}sum\u{e9} of a horse";
    let decomposed = "re\u{301}sume\u{301} of a horse";
    let utf16 = |text: &str| {
        let units = text.encode_utf16().flat_map(u16::to_le_bytes);
        [0xff, 0xfe].into_iter().chain(units).collect::<Vec<u8>>()
    };
    let files = [
        composed.as_bytes().to_vec(),
        decomposed.as_bytes().to_vec(),
        format!("\u{feff}{composed}\r\n").into_bytes(),
        utf16(&format!("{decomposed}\r\n")),
    ];
    let passphrase = temp.path().join("passphrase");
    for (index, made_with) in files.iter().enumerate().step_by(3) {
        fs::write(&passphrase, made_with).unwrap();
        let key = temp.path().join(format!("{index}.jwe"));
        well(["keygen", text(&key), "--passphrase-file", text(&passphrase)]);
        for typed in &files {
            fs::write(&passphrase, typed).unwrap();
            well([
                "fingerprint",
                text(&key),
                "--passphrase-file",
                text(&passphrase),
            ]);
        }
        let in_environment = command()
            .args(["fingerprint", text(&key)])
            .env("SEALED_VISIT_PASSPHRASE", format!("{decomposed}\n"))
            .output()
            .unwrap();
        assert_eq!(in_environment.status.code(), Some(0));
    }
}

#[test]
fn a_passphrase_that_cannot_be_typed_again_makes_no_key() {
    let temp = tempfile::tempdir().unwrap();
    let (passphrase, key) = (temp.path().join("passphrase"), temp.path().join("key.jwe"));
    for unsuitable in [
        "trailing space ",
        "a\u{200b}zero width",
        "two lines\nof it",
        "short",
    ] {
        fs::write(&passphrase, unsuitable).unwrap();
        let (code, json) = tool(["keygen", text(&key), "--passphrase-file", text(&passphrase)]);
        assert_eq!(
            (code, &json["code"]),
            (8, &"refused".into()),
            "{unsuitable:?}"
        );
        assert!(
            !json.to_string().contains(unsuitable),
            "the passphrase is not repeated"
        );
        assert!(!key.exists());
    }
}

#[test]
fn inspecting_the_vaults_answer_shows_no_share() {
    let (_temp, _, made) = with_recording();
    let said = well(["inspect", text(&made.folder.join("recording.json"))]);
    for share in &made.shares {
        assert!(!said.to_string().contains(share.as_str()));
    }
}

#[test]
fn a_key_outside_the_recipients_is_named_with_those_inside() {
    let (temp, _, made) = with_recording();
    let folder = temp.path().join("stranger");
    fs::create_dir(&folder).unwrap();
    let [stranger, _] = keygen(&folder);
    let out = temp.path().join("out");
    let (code, json) = tool(open(&made, &stranger, &out));
    assert_eq!((code, &json["code"]), (5, &"wrong-key".into()));
    let error = json["error"].as_str().unwrap();
    assert!(
        error.contains("x-wing.jwe") && error.contains("sealed to "),
        "{json}"
    );
    assert_eq!(
        error.matches("not among the recipients").count(),
        1,
        "{json}"
    );
    assert_eq!(names(&out), [""; 0]);
}

#[test]
fn a_track_that_stays_shut_does_not_keep_the_others_from_being_opened() {
    let (temp, keys, made) = with_recording();
    let path = made.folder.join("recording.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let track = json["parts"][1]["tracks"][0].as_object_mut().unwrap();
    track.remove("share");
    fs::write(&path, json.to_string()).unwrap();
    let out = temp.path().join("out");
    let (code, json) = tool(open(&made, &keys[1], &out));
    assert_eq!((code, &json["ok"]), (7, &Value::Bool(false)), "{json}");
    assert_eq!(json["files"].as_array().unwrap().len(), 3);
    assert_eq!(json["not_opened"][0]["code"], "no-share");
    assert_eq!(names(&out).len(), 3);
}

#[cfg(unix)]
#[test]
fn a_passphrase_may_come_through_a_pipe_that_is_meant_to_be_one() {
    let temp = tempfile::tempdir().unwrap();
    let key = temp.path().join("key.jwe");
    let mut child = command()
        .args(["keygen", text(&key), "--passphrase-file", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(PASSPHRASE.as_bytes()).unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    well(["fingerprint", text(&key)]);
}

#[test]
fn an_open_statement_of_a_later_version_is_told_apart_from_an_altered_one() {
    let (_temp, _, made) = with_recording();
    let path = made.folder.join("recording.json");
    let json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let open = json["parts"][1]["open"].as_str().unwrap();
    let parts: Vec<&str> = open.split('.').collect();
    let later = sealed_visit_protocol::bytes::from_base64url(parts[1]).unwrap();
    let mut later: Value = serde_json::from_slice(&later).unwrap();
    later["v"] = 2.into();
    let later = sealed_visit_protocol::bytes::to_base64url(later.to_string().as_bytes());
    let later = format!("{}.{later}.{}", parts[0], parts[2]);
    let altered = format!("{}AAAA", &open[..open.len() - 4]);
    for (statement, code, said) in [
        (later, 6, "later version"),
        (altered, 4, "is refused"),
        ("nonsense".to_owned(), 4, "is refused"),
    ] {
        let mut json = json.clone();
        json["parts"][1]["open"] = statement.into();
        fs::write(&path, json.to_string()).unwrap();
        let (got, line) = tool(["verify", text(&made.folder), "--root", &made.root]);
        let error = line["error"].as_str().unwrap();
        assert_eq!(got, code, "{line}");
        assert!(error.contains(said) && error.contains("part 1"), "{line}");
    }
}
